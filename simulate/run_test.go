package simulate_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/hubtwin/hubtwin/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seconds of a scenario.
func seconds(n float64) simulate.Duration { return simulate.Duration(n * float64(time.Second)) }

// quietly is a scenario of reports only.
func quietly(devices int) simulate.Scenario {
	s := simulate.Usual()
	s.Devices, s.Telemetry = devices, 0
	return s
}

// TestRun plays ten minutes of three devices.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		g.register("sim-00000", "sim-00001", "sim-00002")
		g.desire("sim-00001", `{"interval":30,"mode":{"fan":"on"}}`)
		s := quietly(3)
		s.Report, s.Duration, s.Ramp = seconds(60), seconds(600), 1
		time.AfterFunc(5*time.Minute, func() { g.desire("sim-00002", `{"interval":10}`) })
		sum, err := simulate.Run(t.Context(), g.config(s))
		if err != nil {
			t.Fatal(err)
		}
		if sum.Devices != 3 || sum.Connected != 3 || sum.Connects != 3 || sum.Lost != 0 || len(sum.Errors) != 0 {
			t.Errorf("got %+v", sum)
		}
		// Ten of each device, one fewer for those that begin late in their minute.
		if patches := sum.Reports - 2; patches < 27 || patches > 30 || sum.ReportsAcknowledged != sum.Reports || sum.Patch.Count != sum.Reports {
			t.Errorf("%d patches, %d acknowledged", sum.Reports, sum.ReportsAcknowledged)
		}
		if sum.Desired != 1 {
			t.Errorf("%d desired changes", sum.Desired)
		}
		for id, want := range map[string]string{
			"sim-00001": `"interval":{"value":30,"ac":200,"av":2}`, "sim-00002": `"interval":{"value":10,"ac":200,"av":2}`,
		} {
			if got := g.reported(id); !strings.Contains(got, want) {
				t.Errorf("%s reports %s, not %s", id, got, want)
			}
		}
		if took := time.Duration(sum.Elapsed); took < 10*time.Minute || took > 10*time.Minute+5*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestDrops cuts devices off, each ten times or so.
func TestDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		g.register("sim-00000", "sim-00001")
		s := quietly(2)
		s.Report, s.Duration, s.Drop = seconds(5), seconds(600), seconds(60)
		sum, err := simulate.Run(t.Context(), g.config(s))
		if err != nil {
			t.Fatal(err)
		}
		if sum.Drops < 8 || sum.Drops > 40 || sum.Connects < sum.Drops || sum.Connects > sum.Drops+2 || sum.Lost != 0 {
			t.Errorf("%d cut off, %d connections, %d lost", sum.Drops, sum.Connects, sum.Lost)
		}
		if sum.ReportsAcknowledged+sum.Unanswered != sum.Reports {
			t.Errorf("%d reports, %d acknowledged, %d unanswered", sum.Reports, sum.ReportsAcknowledged, sum.Unanswered)
		}
	})
}

// TestSeed: the same seed makes the same values, whatever the times.
func TestSeed(t *testing.T) {
	play := func(seed uint64, every float64) (twins string) {
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			defer g.stop()
			g.register("sim-00000", "sim-00001")
			s := quietly(2)
			s.Seed, s.Report, s.Messages = seed, seconds(every), 20
			sum, err := simulate.Run(t.Context(), g.config(s))
			if err != nil || sum.Reports != 40 {
				t.Errorf("%d reports, %v", sum.Reports, err)
			}
			for _, id := range []string{"sim-00000", "sim-00001"} {
				twins += g.reported(id) + "\n"
			}
		})
		return twins
	}
	first := play(1, 10)
	if again := play(1, 3); again != first {
		t.Errorf("the same seed gives\n%s and\n%s", first, again)
	}
	if other := play(2, 10); other == first {
		t.Errorf("another seed gives the same\n%s", first)
	}
	if a, b, _ := strings.Cut(first, "\n"); a == strings.TrimSpace(b) {
		t.Errorf("both devices report %s", a)
	}
}

// TestInterrupt ends a run in the middle: what is under way is answered.
func TestInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		g.register("sim-00000")
		s := quietly(1)
		s.Report = seconds(0.01)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var told int
		c := g.config(s)
		c.Progress = func(simulate.Progress) { told++ }
		sum, err := simulate.Run(ctx, c)
		if err != nil || sum.Reports < 5000 || sum.Unanswered != 0 || sum.ReportsAcknowledged != sum.Reports || sum.Lost != 0 {
			t.Errorf("got %+v, %v", sum, err)
		}
		if told < 58 {
			t.Errorf("told of the progress %d times", told)
		}
	})
}

// TestRefused: devices that are not registered try again, ever less often, and
// are counted.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		s := quietly(1)
		s.Duration = seconds(300)
		sum, err := simulate.Run(t.Context(), g.config(s))
		tries := sum.Errors["connect: the server refused the connection with CONNACK 5 (not authorized)"]
		if err != nil || sum.Connects != 0 || tries < 10 || tries > 25 || len(sum.Errors) != 1 {
			t.Errorf("got %+v, %v", sum, err)
		}
	})
}

// TestCutByTheHub ends a connection from the other side.
func TestCutByTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		defer g.stop()
		g.register("sim-00000")
		s := quietly(1)
		s.Duration = seconds(120)
		time.AfterFunc(time.Minute, func() {
			g.delete("sim-00000") // which ends the connection
			g.register("sim-00000")
		})
		sum, err := simulate.Run(t.Context(), g.config(s))
		if err != nil || sum.Connects != 2 || sum.Lost != 1 || sum.Errors["lost: the hub closed the connection"] != 1 {
			t.Errorf("got %+v, %v", sum, err)
		}
	})
}
