// Package docs holds the documents against the code: the tests and golden cases
// that docs/compat.md names, the links between pages, the command lines that
// pages show, and the numbers of formats. It has tests only; the documents are
// in the folder docs. Begin at TestCompat.
package docs
