package pebble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"

	engine "github.com/cockroachdb/pebble/v2"
)

// engineLogger passes the engine's words on: its ordinary ones are for
// debugging only.
type engineLogger struct{ store *Store }

var _ engine.Logger = engineLogger{}

func (l engineLogger) Infof(format string, args ...any) {
	if l.store.log.Enabled(context.Background(), slog.LevelDebug) {
		l.store.log.Debug(fmt.Sprintf(format, args...))
	}
}

func (l engineLogger) Errorf(format string, args ...any) {
	l.store.log.Error(fmt.Sprintf(format, args...))
}

// Fatalf is called when the engine can't go on, as when its manifest can't be
// written, and must not return. It ends the calling goroutine, which is one of
// the engine's own: the hub lives on with a broken store and can still answer
// reads.
func (l engineLogger) Fatalf(format string, args ...any) {
	l.store.wedged.Store(true)
	l.store.fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (s *Store) listener() *engine.EventListener {
	return &engine.EventListener{
		// A flush or compaction that fails is tried again at once and for ever,
		// and writers will wait for it sooner or later; better to say so now.
		BackgroundError: func(err error) {
			if !errors.Is(err, engine.ErrCancelledCompaction) {
				s.fail(err)
			}
		},
		WriteStallBegin: func(info engine.WriteStallBeginInfo) {
			s.log.Warn("store writes wait for the disk", "reason", info.Reason)
		},
		WriteStallEnd: func() { s.log.Info("store writes go on") },
	}
}
