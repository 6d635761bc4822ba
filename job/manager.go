package job

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hubtwin/hubtwin/auth"
	"github.com/hubtwin/hubtwin/fault"
	"github.com/hubtwin/hubtwin/hub"
	"github.com/hubtwin/hubtwin/store"
)

// maxKept is how many jobs are remembered. Those that ended first are forgotten
// first.
const maxKept = 100

// Config is what a manager needs.
type Config struct {
	Hub   *hub.Hub
	Store store.Store
	Log   *slog.Logger
	// Files is the folder for file: containers; "" means that there are none.
	Files string
}

// Manager keeps the jobs of a hub. All methods may be called from many
// goroutines. Errors that a caller can act on are *fault.Error.
type Manager struct {
	hub    *hub.Hub
	store  store.Store
	log    *slog.Logger
	files  string
	client *http.Client
	ctx    context.Context // ends with the manager
	end    context.CancelCauseFunc
	runs   sync.WaitGroup

	mu     sync.Mutex
	jobs   map[string]*job
	active bool // a job runs, or is about to
}

// job is a record, and how to end what runs. The manager's lock guards both.
type job struct {
	Record
	cancel context.CancelCauseFunc // nil once it has ended
	rev    store.Revision          // of the stored record; 0 if there is none. For save alone
}

var (
	errCancelled = errors.New("the job was cancelled")
	errEnded     = errors.New("the hub ended while the job was running")
)

// Records of jobs stand under 'j' and their id (docs/formats/store.md).
const tableJobs = 'j'

func key(id string) []byte { return append([]byte{tableJobs}, id...) }

// Open reads the jobs of earlier runs. One that was running then has failed.
func Open(ctx context.Context, c Config) (*Manager, error) {
	m := &Manager{hub: c.Hub, store: c.Store, log: c.Log, client: newBlobClient(), jobs: map[string]*job{}}
	if c.Files != "" {
		var err error
		if m.files, err = filepath.Abs(c.Files); err != nil {
			return nil, fmt.Errorf("open jobs: %w", err)
		}
	}
	m.ctx, m.end = context.WithCancelCause(context.WithoutCancel(ctx))
	v, err := c.Store.View()
	if err != nil {
		return nil, fmt.Errorf("open jobs: %w", err)
	}
	defer v.Close()
	for e, err := range v.Scan([]byte{tableJobs}, []byte{tableJobs + 1}) {
		j := &job{rev: e.Revision}
		if err == nil {
			err = json.Unmarshal(e.Value, &j.Record)
		}
		if err != nil {
			return nil, fmt.Errorf("open jobs: %w", err)
		}
		m.jobs[j.ID] = j
	}
	for _, j := range m.jobs {
		if !j.Status.ended() {
			j.Status, j.Reason, j.Ended = Failed, errEnded.Error(), time.Now().UTC()
			if err := m.save(ctx, j, j.Record); err != nil {
				return nil, fmt.Errorf("open jobs: %w", err)
			}
		}
	}
	return m, nil
}

// Close ends what runs, and waits for it. The store must still be open.
func (m *Manager) Close() {
	m.end(errEnded)
	m.runs.Wait()
	m.client.CloseIdleConnections()
}

// Create begins a job and returns its record once that is durable. Containers are
// tried out first, by writing an empty blob and by opening the input. Failures:
// BlobContainerValidationError, JobQuotaExceeded while another job is active.
func (m *Manager) Create(ctx context.Context, who auth.Principal, r Request) (Record, error) {
	if err := who.May(auth.RegistryWrite); err != nil {
		return Record{}, err
	}
	if !m.enter() {
		return Record{}, fault.New(fault.JobQuotaExceeded, "another import or export job is active; one may be at a time")
	}
	t, err := m.prepare(ctx, r)
	if err != nil {
		m.leave()
		return Record{}, err
	}
	run, cancel := context.WithCancelCause(m.ctx)
	j := &job{cancel: cancel, Record: Record{ID: newID(), Type: r.Type, Status: Enqueued, Started: time.Now().UTC(), Input: r.Input, Output: r.Output, NoKeys: r.NoKeys}}
	if err := m.add(ctx, j); err != nil {
		cancel(nil)
		t.close()
		m.leave()
		return Record{}, err
	}
	first := j.Record
	m.runs.Go(func() {
		defer t.close()
		defer cancel(nil)
		m.run(run, j, who, t)
	})
	return first, nil
}

func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (m *Manager) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.active || m.ctx.Err() != nil {
		return false
	}
	m.active = true
	return true
}

func (m *Manager) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.active = false
}

// add makes a new record durable, and forgets the oldest.
func (m *Manager) add(ctx context.Context, j *job) error {
	if err := m.save(ctx, j, j.Record); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.jobs[j.ID] = j
	for old := m.sorted(); len(old) > maxKept; old = old[:len(old)-1] {
		last := old[len(old)-1]
		delete(m.jobs, last.ID)
		m.store.Submit(store.Batch{Writes: []store.Write{{Key: key(last.ID)}}}, func(store.Position, error) {})
	}
	return nil
}

// save makes r durable as the record of j. Only one goroutine at a time saves a
// job.
func (m *Manager) save(ctx context.Context, j *job, r Record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.rev++
	_, err = store.CommitBatch(ctx, m.store, store.Batch{Writes: []store.Write{{Key: key(j.ID), Value: value, Revision: j.rev}}})
	return err
}

// sorted lists the jobs, the newest first. The caller holds mu.
func (m *Manager) sorted() []Record {
	var list []Record
	for _, j := range m.jobs {
		list = append(list, j.Record)
	}
	slices.SortFunc(list, func(a, b Record) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// List gives the jobs that are remembered, the newest first.
func (m *Manager) List(who auth.Principal) ([]Record, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sorted(), nil
}

// Get gives one job.
func (m *Manager) Get(who auth.Principal, id string) (Record, error) {
	if err := who.May(auth.RegistryRead); err != nil {
		return Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if j := m.jobs[id]; j != nil {
		return j.Record, nil
	}
	return Record{}, notFound(id)
}

// Cancel ends a job. What an import has carried out stays. A job that has ended is
// left as it is.
func (m *Manager) Cancel(who auth.Principal, id string) error {
	if err := who.May(auth.RegistryWrite); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[id]
	if j == nil {
		return notFound(id)
	}
	if j.cancel != nil {
		j.cancel(errCancelled)
	}
	return nil
}

func notFound(id string) error {
	return fault.New(fault.JobNotFound, "there is no job %.64q", id)
}

// progress tells how far a job is.
func (m *Manager) progress(j *job, percent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j.Progress = percent
}
