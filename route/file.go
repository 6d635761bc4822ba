package route

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/hubtwin/hubtwin/device"
	"github.com/hubtwin/hubtwin/message"
)

// Modes of what is made: others on the machine read neither directories nor files.
const (
	directoryMode = 0o750
	fileMode      = 0o640
)

// openDirectory opens a directory below top, which must be there, and makes it if
// it is not. Nothing outside of it can be reached by what it returns, also not by
// symbolic links.
func openDirectory(top, below string) (*os.Root, error) {
	root, err := os.OpenRoot(top)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if err := root.MkdirAll(below, directoryMode); err != nil {
		return nil, err
	}
	return root.OpenRoot(below)
}

func (o Outside) newWriter(f *File) *writer {
	return &writer{lines{
		directory: func() (*os.Root, error) { return openDirectory(o.Files, f.directory()) },
		maxBytes:  cmp.Or(f.MaxBytes, usualFileBytes),
		maxAge:    time.Duration(cmp.Or(f.MaxSeconds, usualFileSeconds)) * time.Second,
	}}
}

// writer is a file endpoint in use: each event is a line of JSON.
type writer struct{ lines lines }

// Deliver writes the events and waits until they are on the disk.
func (w *writer) Deliver(_ context.Context, events []message.Stored) error {
	var text []byte
	for i := range events {
		text = append(events[i].AppendJSON(text), '\n')
	}
	return w.lines.write(text, time.Now())
}

// Close closes the file, which the next run goes on with.
func (w *writer) Close() error { return w.lines.leave() }

// DeadLetters are the events that an endpoint did not take, in files of their own.
type DeadLetters struct {
	endpoint string
	lines    lines
}

// Bounds of dead letters: beyond them the oldest file goes.
const (
	deadFileBytes = 16 << 20
	deadFiles     = 64
)

// OpenDeadLetters gives those of an endpoint. They are nil if there is no place
// for any.
func (o Outside) OpenDeadLetters(endpoint string) *DeadLetters {
	if o.DeadLetters == "" {
		return nil
	}
	directory := func() (*os.Root, error) {
		if err := os.MkdirAll(o.DeadLetters, directoryMode); err != nil {
			return nil, err
		}
		return openDirectory(o.DeadLetters, endpoint)
	}
	return &DeadLetters{endpoint, lines{directory: directory, maxBytes: deadFileBytes, maxAge: maxFileSeconds * time.Second, keep: deadFiles}}
}

// Add writes events with the reason why they are here, and waits until they are on
// the disk.
func (d *DeadLetters) Add(events []message.Stored, reason string, at time.Time) error {
	var text []byte
	for i := range events {
		text = fmt.Appendf(text, `{"endpoint":"%s","deadLetteredTimeUtc":"%s","reason":`, d.endpoint, device.FormatTime(at.UTC()))
		text = append(message.AppendString(text, reason), `,"event":`...)
		text = append(events[i].AppendJSON(text), "}\n"...)
	}
	return d.lines.write(text, at)
}

// Close closes the file.
func (d *DeadLetters) Close() error { return d.lines.leave() }

// lines writes whole lines to files that are named by the time at which they
// were begun; there is one that is written, the newest. What others do to files
// and directory counts: each write looks where it is.
type lines struct {
	directory func() (*os.Root, error) // opens it, and makes it if it is not there

	maxBytes int64         // no file gets larger, unless one write is
	maxAge   time.Duration // after this a new file is begun
	keep     int           // newest files; 0 for all

	file  *os.File // nil: to be opened with the next write
	begun time.Time
	size  int64
}

const (
	fileTime = "20060102T150405.000000000Z"
	fileEnd  = ".jsonl"
)

func fileName(begun time.Time) string { return begun.UTC().Format(fileTime) + fileEnd }

// write appends text, which ends with a line end, and waits until it is on the
// disk. Once another write succeeds, all files have whole lines only.
func (l *lines) write(text []byte, now time.Time) error {
	root, err := l.directory()
	if err != nil {
		return fmt.Errorf("open the directory: %w", err)
	}
	defer root.Close()
	if l.file == nil {
		if err := l.resume(root); err != nil {
			return err
		}
	}
	if l.file == nil || !l.isIn(root) || l.size > 0 && l.size+int64(len(text)) > l.maxBytes || now.Sub(l.begun) >= l.maxAge {
		if err := l.begin(root, now); err != nil {
			return err
		}
	}
	_, err = l.file.Write(text)
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		// Whether or not that works, resume cuts off what is no whole line.
		return errors.Join(err, l.file.Truncate(l.size), l.leave())
	}
	l.size += int64(len(text))
	return nil
}

// isIn tells whether the file that is written is still in the directory: what is
// written to one that was removed is lost.
func (l *lines) isIn(root *os.Root) bool {
	there, err := root.Lstat(fileName(l.begun))
	if err != nil {
		return false
	}
	open, err := l.file.Stat()
	return err == nil && os.SameFile(there, open)
}

// resume opens the newest file, if there is one, and cuts off what a crash has
// left of an unfinished line.
func (l *lines) resume(root *os.Root) error {
	names, err := namesIn(root)
	if err != nil || len(names) == 0 {
		return err
	}
	newest := names[len(names)-1]
	f, err := root.OpenFile(newest, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	size, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.begun, _ = time.Parse(fileTime+fileEnd, newest) // as namesIn has it
	l.file, l.size = f, size
	return nil
}

// wholeLines is the size of f up to its last line end.
func wholeLines(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	for end := info.Size(); end > 0; {
		from := max(0, end-int64(len(block)))
		part := block[:end-from]
		if _, err := f.ReadAt(part, from); err != nil {
			return 0, err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			return from + int64(at) + 1, nil
		}
		end = from
	}
	return 0, nil
}

// begin begins a new file.
func (l *lines) begin(root *os.Root, now time.Time) error {
	if l.file != nil && !now.After(l.begun) {
		now = l.begun.Add(1) // the clock was set back, and the newest name is the last one
	}
	if err := l.leave(); err != nil {
		return err
	}
	f, err := root.OpenFile(fileName(now), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	if err := syncDirectory(root); err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.begun, l.size = f, now, 0
	return l.forget(root)
}

// syncDirectory makes a new name survive a loss of power.
func syncDirectory(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(syncNames(d), d.Close())
}

// forget removes the oldest files, if only some are to be kept.
func (l *lines) forget(root *os.Root) error {
	if l.keep == 0 {
		return nil
	}
	names, err := namesIn(root)
	if err != nil {
		return err
	}
	for _, n := range names[:max(0, len(names)-l.keep)] {
		if err := root.Remove(n); err != nil {
			return err
		}
	}
	return nil
}

// namesIn lists the files of before, the oldest first.
func namesIn(root *os.Root) ([]string, error) {
	all, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range all {
		if at, err := time.Parse(fileTime+fileEnd, e.Name()); err == nil && fileName(at) == e.Name() && e.Type().IsRegular() {
			list = append(list, e.Name())
		}
	}
	slices.Sort(list)
	return list, nil
}

func (l *lines) leave() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	l.file = nil
	return f.Close()
}
