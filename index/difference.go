package index

import "github.com/hubtwin/hubtwin/twin"

// object sets the values at and below the members of an object in which is
// differs from was.
func (w *writer) object(k *chunk, row int, at *path, was, is twin.Object) {
	old := finder{object: was}
	for i := range is.Len() {
		key, text, kids := is.Member(i)
		oldText, oldKids := old.find(key)
		w.member(k, row, w.below(at, key), oldText, oldKids, markObject(text), kids)
	}
	if old.met == was.Len() {
		return
	}
	left := finder{object: is}
	for i := range was.Len() {
		key, text, kids := was.Member(i)
		if there, _ := left.find(key); there == "" {
			w.member(k, row, w.below(at, key), markObject(text), kids, "", twin.Object{})
		}
	}
}

// member sets the value of one member and what is below it. Texts are "" for
// nothing and "{" for an object.
func (w *writer) member(k *chunk, row int, at *path, was string, wasKids twin.Object, is string, isKids twin.Object) {
	if at == nil {
		return // a path that is not even remembered
	}
	if was != is {
		w.set(k, row, at, is, w.keep)
	}
	if was == "{" || is == "{" {
		w.object(k, row, at, wasKids, isKids)
	}
}

func markObject(text string) string {
	if text == "" {
		return "{"
	}
	return text
}

// below is the path of a member, which may be new. It is called with the lock
// of the paths held for reading, and lets go of it while it adds a path.
func (w *writer) below(at *path, key string) *path {
	if p := at.below[key]; p != nil || w.paths.closed {
		return p
	}
	w.paths.mu.RUnlock()
	w.paths.mu.Lock()
	p := w.paths.add(at, key)
	w.paths.mu.Unlock()
	w.paths.mu.RLock()
	return p
}

// finder finds members of an object. It expects them in their order, as two
// states of a twin mostly have them, and makes a map once that has cost too
// much.
type finder struct {
	object twin.Object
	next   int
	met    int
	spent  int
	places map[string]int
}

// find gives the value under a key: "" if there is none, "{" for an object.
func (f *finder) find(key string) (text string, kids twin.Object) {
	place := f.place(key)
	if place < 0 {
		return "", twin.Object{}
	}
	f.met++
	f.next = place + 1
	_, text, kids = f.object.Member(place)
	return markObject(text), kids
}

func (f *finder) place(key string) int {
	n := f.object.Len()
	if f.next < n {
		if k, _, _ := f.object.Member(f.next); k == key {
			return f.next
		}
	}
	if f.places != nil {
		if place, ok := f.places[key]; ok {
			return place
		}
		return -1
	}
	if f.spent += n; f.spent > 1000 {
		f.places = make(map[string]int, n)
		for i := range n {
			k, _, _ := f.object.Member(i)
			f.places[k] = i
		}
	}
	for i := range n {
		if k, _, _ := f.object.Member(i); k == key {
			return i
		}
	}
	return -1
}
