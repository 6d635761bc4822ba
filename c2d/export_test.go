package c2d

// Len is how many locks l keeps, those included whose time is over.
func (l *Locks) Len() int { return len(l.held) }
