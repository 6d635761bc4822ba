// Package query is the hub's query language for twins, module twins and
// device jobs: SELECT … FROM … WHERE … GROUP BY ….
//
// It is a language, not a database. It parses a text into a tree ([Parse]),
// says whether a document satisfies a condition ([Matches]) and turns the
// documents of a [Source] into pages of rows ([Query.Run]). Where documents
// come from, in which consistent snapshot, and which of them an index can rule
// out beforehand is the Source's affair. The dialect of message routing looks
// alike and differs in precedence, names and null; it is not this one.
//
// Three things surprise newcomers, and all three come from the service:
//
//   - A missing value is undefined, and undefined spreads: tags.x != 1 does
//     not select a document without tags.x, nor does NOT tags.x = 1.
//   - Names outside tags, desired and reported properties ignore case; names
//     inside are the user's and do not. Parse writes the former in their one
//     spelling, so a [Path] can be looked up key by key.
//   - '-' belongs to names: tags.a-b is one key, tags.a - tags.b a difference.
//
// Begin at [Query] for the tree, at parser.go for the grammar (which stands
// there in EBNF) and at eval.go for the meaning. Sections such as A5 refer to
// part A of the query-language sheet.
package query
