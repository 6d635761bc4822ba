package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// sqliteSetup makes the shell print bare rows, keep the whole database in memory
// if it can, and a row on one page.
const sqliteSetup = `.bail on
.mode list
.separator "\x1f" "\n"
PRAGMA page_size=8192;
PRAGMA journal_mode=OFF;
PRAGMA synchronous=OFF;
PRAGMA cache_size=-1000000;
PRAGMA mmap_size=16000000000;
`

// sqliteSchema derives twins from documents, as PostgreSQL's schema does.
var sqliteSchema = []string{
	`CREATE TABLE twins (device_id TEXT PRIMARY KEY, body TEXT, doc TEXT)`,
	`INSERT INTO twins SELECT doc ->> '$.deviceId',
		json_remove(doc, '$.properties.desired."$metadata"', '$.properties.reported."$metadata"'), doc FROM documents`,
	`DROP TABLE documents`,
	`CREATE INDEX plants ON twins (body ->> '$.tags.location.plant')`,
	`CREATE INDEX serials ON twins (body ->> '$.tags.serial')`,
	`CREATE INDEX temperatures ON twins (body ->> '$.properties.reported.temperature')`,
	`CREATE INDEX statuses ON twins (body ->> '$.properties.reported.status')`,
	`CREATE INDEX versions ON twins (body ->> '$.properties.reported.firmware.version')`,
	`CREATE INDEX places ON twins (body ->> '$.tags.location.region', body ->> '$.properties.reported.connectivity.type')`,
	`ANALYZE`,
}

// sqlite is the shell of SQLite, which reads statements and prints rows. There is
// no network between it and us, but a pipe.
type sqlite struct {
	process
	in  io.WriteCloser
	out *bufio.Reader
}

func startSQLite(ctx context.Context, file string) (*sqlite, error) {
	binary, err := find("sqlite3")
	if err != nil {
		return nil, fmt.Errorf("%w: install it (apt-get install sqlite3)", err)
	}
	cmd := exec.CommandContext(ctx, binary, "-batch", file)
	s := new(sqlite)
	if s.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReaderSize(out, 1<<20)
	if err := s.run(cmd, os.Stderr); err != nil {
		return nil, err
	}
	_, err = s.do(sqliteSetup)
	return s, err
}

// stop ends the shell by the end of its input.
func (s *sqlite) stop() {
	s.in.Close()
	<-s.ended
}

// do sends statements and gives the lines that come back.
func (s *sqlite) do(text string) (lines []string, err error) {
	const end = "-- the end --"
	if _, err := fmt.Fprintf(s.in, "%s\nSELECT '%s';\n", text, end); err != nil {
		return nil, err
	}
	for {
		line, err := s.out.ReadString('\n')
		switch line = strings.TrimSuffix(line, "\n"); {
		case err != nil:
			return nil, errors.New("the shell has ended: see its message")
		case line == end:
			return lines, nil
		}
		lines = append(lines, line)
	}
}

// load copies the documents of all devices from the hub.
func (s *sqlite) load(ctx context.Context, hub *asker, twins int, progress io.Writer) error {
	if _, err := s.do("CREATE TABLE documents (doc TEXT);\nBEGIN;"); err != nil {
		return err
	}
	w := bufio.NewWriterSize(s.in, 1<<20)
	err := eachDocument(ctx, hub, twins, progress, func(row []byte) error {
		_, err := fmt.Fprintf(w, "INSERT INTO documents VALUES ('%s');\n", strings.ReplaceAll(string(row), "'", "''"))
		return err
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	for _, statement := range append([]string{"COMMIT"}, sqliteSchema...) {
		began := time.Now()
		if _, err := s.do(statement + ";"); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
		fmt.Fprintf(progress, "%v: %s\n", time.Since(began).Round(time.Millisecond), statement)
	}
	return nil
}

func (s *sqlite) ask(_ context.Context, sql string) (time.Duration, error) {
	began := time.Now()
	_, err := s.do(sql + ";")
	return time.Since(began), err
}

func (s *sqlite) rows(_ context.Context, sql string) (rows []map[string]any, err error) {
	lines, err := s.do(".mode json\n" + sql + ";\n.mode list")
	if err == nil && len(lines) > 0 {
		err = json.Unmarshal([]byte(strings.Join(lines, "\n")), &rows)
	}
	return rows, err
}
