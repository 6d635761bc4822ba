package server

import "sync"

// gate counts what is under way, so that the end can wait for it. Unlike a
// sync.WaitGroup it can be shut: net/http may start a handler while its server
// is being closed, and nothing may start when the wait has begun.
type gate struct {
	mu     sync.Mutex
	shut   bool
	inside sync.WaitGroup
}

// enter tells whether the caller may begin. If so, it must leave.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return false
	}
	g.inside.Add(1)
	return true
}

func (g *gate) leave() { g.inside.Done() }

// close lets nobody in any more.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
}

// wait returns when the closed gate has nobody behind it.
func (g *gate) wait() { g.inside.Wait() }
