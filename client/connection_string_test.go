package client

import (
	"bufio"
	"os"
	"strings"
	"testing"
)

// testdata/connection_strings.txt has texts and, below each, what is made of
// them: the three fields, or the error.
func TestParseConnectionString(t *testing.T) {
	file, err := os.Open("testdata/connection_strings.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text := ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		mark, rest, _ := strings.Cut(lines.Text(), " ")
		switch mark {
		case ">":
			text = rest
		case "=", "!":
			s, err := ParseConnectionString(text)
			got := "= " + s.HostName + " | " + s.SharedAccessKeyName + " | " + s.SharedAccessKey
			if err != nil {
				got = "! " + err.Error()
			}
			if got != lines.Text() {
				t.Errorf("%s\n got %s\nwant %s", text, got, lines.Text())
			}
		}
	}
}

// Whatever the text is, an error does not quote a key, and what was accepted
// can be written and read again.
func FuzzParseConnectionString(f *testing.F) {
	f.Add("HostName=hub.example.com;SharedAccessKeyName=service;SharedAccessKey=c2VjcmV0")
	f.Add("hostname=[::1]:8443; sharedaccesskeyname=a=b ;SharedAccessKey===;")
	f.Add("HostName=h;DeviceId=d1;SharedAccessKey=c2VjcmV0")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseConnectionString(text)
		if err != nil {
			if s != (ConnectionString{}) {
				t.Errorf("an error and %+v", s)
			}
			return
		}
		again, err := ParseConnectionString("HostName=" + s.HostName + ";SharedAccessKeyName=" + s.SharedAccessKeyName + ";SharedAccessKey=" + s.SharedAccessKey)
		if err != nil || again != s {
			t.Errorf("%+v became %+v, %v", s, again, err)
		}
		if s.host() == "" {
			t.Errorf("%q has no host", s.HostName)
		}
	})
}
