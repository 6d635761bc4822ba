package index

// Plan tells people how a query was answered: what decided each of its
// predicates, and how many documents each left over.
type Plan struct {
	Position     uint64 `json:"position"`  // the newest commit the query has seen
	Documents    int    `json:"documents"` // in the collection
	Steps        []Step `json:"steps"`
	Rows         int    `json:"rows"`    // documents that satisfy the whole condition
	Decoded      int    `json:"decoded"` // documents that were looked at
	Microseconds int64  `json:"microseconds"`
}

// Step is a predicate of the condition: one for each term that AND joins at the
// top.
type Step struct {
	Predicate string `json:"predicate"`
	// On says what decided it: "keys", "postings", "columns", "documents",
	// several of them joined by "+", or "nothing" if no document was left to
	// decide, or no document has the path.
	On   string `json:"on"`
	Rows int    `json:"rows"` // documents left after it and those above it
}

// Stats is what an index holds.
type Stats struct {
	Ready         bool
	Position      uint64
	Devices       int   // device twins
	Modules       int   // module twins
	Paths         int   // with columns, of both collections
	PathsRefused  int   // known paths without columns, because of MaxPaths or MaxBytes
	ColumnBytes   int64 // about
	DocumentBytes int64 // of keys and stored documents, about
}
