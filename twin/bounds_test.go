package twin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hubtwin/hubtwin/fault"
)

// What weighs little by the formula of the sheet is bounded by its text.
func TestWeightlessText(t *testing.T) {
	for name, value := range map[string]string{
		"empty arrays":       `[` + strings.Repeat(`[],`, 60_000) + `[]]`,
		"digits":             `1.` + strings.Repeat(`0`, 200_000),
		"control characters": `[` + strings.Repeat(`"`+strings.Repeat(`\u0007`, 4096)+`",`, 8) + `0]`,
	} {
		tw := New(t0)
		var err error
		for n := 0; err == nil && n < 100; n++ {
			body := fmt.Sprintf(`{"k%d":%s}`, n, value)
			p, perr := ParseReported([]byte(body), Rules{})
			if perr != nil {
				t.Fatalf("%s: %v", name, perr)
			}
			var next *Twin
			if next, _, err = tw.Report(p, t1); err == nil {
				tw = next
			}
		}
		if !fault.Is(err, fault.ArgumentInvalid) {
			t.Errorf("%s: want them refused, got %v", name, err)
		}
		if size := len(tw.AppendBinary(nil)); size > textFactor*MaxProperties {
			t.Errorf("%s: the twin has grown to %d bytes", name, size)
		}
	}
}

// White space in arrays is not kept, so that it needs no bound.
func TestWhiteSpaceIsNotStored(t *testing.T) {
	tw := mustApply(t, New(t0), "devPatch", `{"l":[1,`+strings.Repeat(" ", 200_000)+`2]}`, t1)
	lookupIs(t, "", tw, "properties.reported.l", "[1,2]")
	if tw.held > slack+100 {
		t.Errorf("the twin holds %d bytes", tw.held)
	}
}

// A twin that keeps one leaf of every long body does not pin the bodies.
func TestOldBodiesAreLetGo(t *testing.T) {
	tw := New(t0)
	for n := range 200 {
		pad := strings.Repeat("x", 4000)
		tw = mustApply(t, tw, "devPatch", fmt.Sprintf(`{"k%d":%d,"pad":"%s"}`, n, n, pad), t1)
		if own := tw.text(); tw.held > 2*own+slack {
			t.Fatalf("after %d patches the twin holds %d bytes of text for %d", n+1, tw.held, own)
		}
	}
}

// Keys are found in time that is proportional to both objects, in whatever
// order a patch names them.
func TestFinderWork(t *testing.T) {
	const n = 5000
	members := make([]node, n)
	for i := range members {
		members[i] = node{key: fmt.Sprint(i), raw: "1"}
	}
	for name, key := range map[string]func(i int) (string, int){
		"in order":   func(i int) (string, int) { return fmt.Sprint(i), i },
		"backwards":  func(i int) (string, int) { return fmt.Sprint(n - 1 - i), n - 1 - i },
		"not there":  func(i int) (string, int) { return fmt.Sprint("x", i), -1 },
		"far apart":  func(i int) (string, int) { return fmt.Sprint(i * 37 % n), i * 37 % n },
		"always one": func(i int) (string, int) { return "17", 17 },
	} {
		f := finder{members: members}
		for i := range n {
			k, want := key(i)
			if got := f.find(k); got != want {
				t.Fatalf("%s: %s: want %d, got %d", name, k, want, got)
			}
		}
		if f.spent > 10*n {
			t.Errorf("%s: %d comparisons for %d keys", name, f.spent, n)
		}
	}
}

// Readers of one twin, patch and change may be many (run with -race).
func TestConcurrentReaders(t *testing.T) {
	tw := sample(t, 30, 34)
	p, err := ParseReported([]byte(reportedPatch), Rules{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string)
	for range 4 {
		go func() {
			next, change, err := tw.Report(p, t1)
			if err != nil {
				done <- err.Error()
				return
			}
			done <- string(change.AppendRecord(next.AppendBinary(tw.AppendSections(nil))))
		}()
	}
	first := <-done
	for range 3 {
		if again := <-done; again != first {
			t.Errorf("want\n %s, got\n %s", first, again)
		}
	}
}
