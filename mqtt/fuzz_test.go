package mqtt_test

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// FuzzConn lets a connected device send arbitrary bytes, and then hang up. The
// hub must not panic, the connection must end, and so must all that served it:
// the bubble fails if a goroutine is left.
func FuzzConn(f *testing.F) {
	for _, wire := range transcriptBytes(f) {
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			defer s.close()
			must(t, s, "service creates dev-1", `service patches dev-1 {"properties":{"desired":{"n":1}}}`)
			c, err := s.net.Dial()
			if err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(c)
			write(t, c, "CONNECT dev-1")
			if line, err := readPacket(r); line != "CONNACK 0" {
				t.Fatal(line, err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					if _, err := readPacket(r); err != nil {
						return
					}
				}
			}()
			c.SetWriteDeadline(time.Now().Add(time.Hour))
			c.Write(wire)
			must(t, s, `service patches dev-1 {"properties":{"desired":{"n":2}}}`)
			c.Close()
			<-ended
			must(t, s, "A> CONNECT dev-1 clean", "A< CONNACK 0", "A> PINGREQ", "A< PINGRESP")
		})
	})
}

// FuzzConnect lets a stranger send arbitrary bytes. Nothing but silence or a
// CONNACK may come of it, and after 30 s at most the connection ends.
func FuzzConnect(f *testing.F) {
	for _, line := range []string{
		"CONNECT dev-1 clean will=devices/dev-1/messages/events/", "CONNECT dev-1/mod-1", "CONNECT dev-1 user=hub.example.com/dev-1/api-version=2018-06-30",
		"CONNECT dev-1 password=SharedAccessSignature%20sr=a&sig=b&se=c", "PINGREQ",
	} {
		wire, err := encode(line)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			defer s.close()
			must(t, s, "service creates dev-1")
			c, err := s.net.Dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go c.Write(wire)
			c.SetReadDeadline(time.Now().Add(31 * time.Second))
			r := bufio.NewReader(c)
			line, err := readPacket(r)
			if err == nil && !strings.HasPrefix(line, "CONNACK") {
				t.Fatal(line)
			}
		})
	})
}

// transcriptBytes gives what clients send in the transcripts, after CONNECT.
func transcriptBytes(tb testing.TB) (all [][]byte) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			_, rest, ok := strings.Cut(strings.TrimSpace(line), "> ")
			if !ok || strings.Contains(rest, "CONNECT dev") || strings.Contains(rest, "{262") {
				continue
			}
			wire, err := encode(rest)
			if err != nil || len(wire) == 0 {
				continue
			}
			all = append(all, wire)
		}
	}
	return all
}
