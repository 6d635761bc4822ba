package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected outputs in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hubtwin": main})
}

// TestScripts runs testdata/script, which may be read as a manual. Beside the
// commands of testscript there is
//
//	source FILE    waits until a hub has written FILE, and takes its variables
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_DATA_HOME", filepath.Join(e.WorkDir, "share"))
			e.Setenv("COLUMNS", "90") // the width of help texts
			e.Setenv("SSL_CERT_FILE", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"source": source},
	})
}

// patience is how long a hub may take to start, on a machine that is busy.
const patience = time.Minute

func source(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: source FILE")
	}
	file := ts.MkAbs(args[0])
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no hub has written %s", args[0])
		}
	}
	for line := range strings.Lines(ts.ReadFile(file)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if ok {
			ts.Setenv(name, strings.Trim(value, "'"))
		}
	}
}
