package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// settings are those that a person would give a server for this amount of data.
// What concerns writing is as cheap as can be: only reading is compared. The
// measurement has vacuumed the table itself, so nothing does it meanwhile.
var settings = []string{
	"shared_buffers=1GB", "work_mem=64MB", "maintenance_work_mem=1GB", "effective_cache_size=8GB",
	"random_page_cost=1.1", "default_toast_compression=lz4",
	"fsync=off", "synchronous_commit=off", "max_wal_size=8GB", "wal_level=minimal", "max_wal_senders=0", "autovacuum=off",
}

// schema is made in this order. Rows come in as documents; the rest is derived.
var (
	schema = []string{`CREATE UNLOGGED TABLE twins (
		doc jsonb NOT NULL,
		device_id text PRIMARY KEY GENERATED ALWAYS AS (doc ->> 'deviceId') STORED,
		body jsonb NOT NULL GENERATED ALWAYS AS
			(doc #- '{properties,desired,$metadata}' #- '{properties,reported,$metadata}') STORED)`}
	indexes = []string{
		`CREATE INDEX ON twins USING gin (body jsonb_path_ops)`,
		`CREATE INDEX ON twins ((body #>> '{tags,serial}'))`,
		`CREATE INDEX ON twins ((body #>> '{tags,location,region}'))`,
		`CREATE INDEX ON twins ((body #> '{tags,contract}'))`,
		`CREATE INDEX ON twins ((body #>> '{properties,reported,status}'))`,
		`CREATE INDEX ON twins ((body #>> '{properties,reported,firmware,version}'))`,
		`CREATE INDEX ON twins ((body #>> '{properties,reported,connectivity,type}'))`,
		`CREATE INDEX ON twins ((body #> '{properties,reported,lastError,code}'))`,
		`CREATE INDEX ON twins (((body #> '{properties,reported,temperature}')::float8))`,
		`CREATE INDEX ON twins (((body #> '{properties,reported,battery}')::float8))`,
		`CREATE INDEX ON twins ((body ->> 'lastActivityTime'))`,
		`CREATE INDEX ON twins ((doc #>> '{properties,reported,$metadata,$lastUpdated}'))`,
		`VACUUM ANALYZE twins`,
	}
)

// postgres is a server of our own with one connection to it.
type postgres struct {
	process
	conn *pgx.Conn
}

func (p *postgres) stop() {
	if p.conn != nil {
		p.conn.Close(context.Background())
	}
	p.process.stop()
}

// findPostgres gives the folder with the server's programs. asked is a folder,
// or "auto" for the usual places, from which the Debian package is installed if
// there is none.
func findPostgres(ctx context.Context, asked string, progress io.Writer) (string, error) {
	places := []string{asked}
	if asked == "auto" {
		places = []string{"/usr/lib/postgresql/15/bin", "/usr/pgsql-15/bin", "/usr/local/pgsql/bin"}
	}
	for _, dir := range places {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	if asked != "auto" || os.Getuid() != 0 {
		return "", fmt.Errorf("there is no initdb in %v: install PostgreSQL 15, or leave it out with -postgres none", places)
	}
	fmt.Fprintln(progress, "installing the package postgresql-15")
	// The package would make and start a cluster, unless it is told not to.
	const config = "/etc/postgresql-common/createcluster.d/hubtwin-bench.conf"
	if err := os.MkdirAll(filepath.Dir(config), 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(config, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return "", err
	}
	defer os.Remove(config)
	install := exec.CommandContext(ctx, "apt-get", "install", "-y", "postgresql-15", "postgresql-client-15")
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install PostgreSQL: %w\n%s", err, out)
	}
	return places[0], nil
}

// unprivileged is who the server runs as: it refuses root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// startPostgres runs the programs in bin on a cluster in dir, which it makes if
// it is not there.
func startPostgres(ctx context.Context, bin, dir string) (_ *postgres, err error) {
	who, err := unprivileged()
	if err != nil {
		return nil, err
	}
	as := &syscall.SysProcAttr{Credential: who}
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		if err := makeCluster(ctx, bin, dir, as); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{"-D", dir, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", ""}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	p := new(postgres)
	server := exec.CommandContext(ctx, filepath.Join(bin, "postgres"), args...)
	server.SysProcAttr, server.Dir = as, dir
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if err := p.run(server, log); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	address := fmt.Sprintf("postgres://bench@127.0.0.1:%d/postgres?sslmode=disable", port)
	err = p.await(ctx, "PostgreSQL", func() bool {
		p.conn, err = pgx.Connect(ctx, address)
		return err == nil
	})
	return p, err
}

// makeCluster makes one in which text compares by bytes, as the hub's does, and
// which anybody on this machine may use.
func makeCluster(ctx context.Context, bin, dir string, as *syscall.SysProcAttr) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if as.Credential != nil {
		if err := os.Chown(dir, int(as.Credential.Uid), int(as.Credential.Gid)); err != nil {
			return err
		}
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dir, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = as, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("make a cluster: %w\n%s", err, out)
	}
	return nil
}

// load copies the documents of all devices from the hub, as it shows them.
func (p *postgres) load(ctx context.Context, hub *asker, twins int, progress io.Writer) error {
	for _, s := range schema {
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	if err := p.copy(ctx, hub, twins, progress); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	for _, s := range indexes {
		began := time.Now()
		if _, err := p.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
		fmt.Fprintf(progress, "%v: %s\n", time.Since(began).Round(time.Millisecond), s)
	}
	return nil
}

// copy sends a line for each twin. Of the characters that mean something to
// COPY, JSON on one line holds the backslash only.
func (p *postgres) copy(ctx context.Context, hub *asker, twins int, progress io.Writer) error {
	from, to := io.Pipe()
	go func() {
		to.CloseWithError(eachDocument(ctx, hub, twins, progress, func(row []byte) error {
			_, err := to.Write(append(bytes.ReplaceAll(row, []byte(`\`), []byte(`\\`)), '\n'))
			return err
		}))
	}()
	_, err := p.conn.PgConn().CopyFrom(ctx, from, "COPY twins (doc) FROM STDIN")
	from.CloseWithError(errors.New("the copy has ended"))
	return err
}

// ask prepares a statement the first time.
func (p *postgres) ask(ctx context.Context, sql string) (time.Duration, error) {
	began := time.Now()
	rows, err := p.conn.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		rows.RawValues()
	}
	return time.Since(began), rows.Err()
}

func (p *postgres) rows(ctx context.Context, sql string) ([]map[string]any, error) {
	rows, err := p.conn.Query(ctx, sql)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToMap)
}
