// Package fleet makes twins and queries for tests and measurements. No part of
// the product imports it.
//
// It makes them in two ways. The random ones, for pgregory.net/rapid, are small
// and mean: [Document], [Section] and [Patch] draw twins, [Query] draws queries,
// and both draw from one small alphabet (alphabet.go), so that paths are met
// with every kind of value, constants are met in several spellings, and
// conditions come out true, false and unknown. They are for holding two ways of
// evaluation against each other; nothing here says what a query should give.
// The others are many and look like a fleet at work; see synthetic.go.
//
// Begin at [Query] and [Document].
package fleet
