// Package document holds twins as back ends see them: the sections of a twin
// with the copies of identity and connection fields around them (twin sheet,
// section 1). The answer of GET /twins/{id} is one, and so is a row of the
// collections devices and devices.modules.
//
// It keeps nothing and asks nobody: who makes a [Document] brings the parts. Nor
// does it know the rules of twins, which are package twin's.
//
// Begin at [Document], then at the table in fields.go, which says all that a
// document shows outside of the sections.
package document
