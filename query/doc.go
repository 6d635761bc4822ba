// Package query is the hub's query language for twins, module twins and
// device jobs (SELECT … FROM … WHERE … GROUP BY …), and the conditions of message
// routes, which look alike.
//
// It is a language, not a database. It parses a text into a tree ([Parse]),
// says whether a document satisfies a condition ([Matches]) and turns the
// documents of a [Source] into pages of rows ([Query.Run]). Where documents
// come from, in which consistent snapshot, and which of them an index can rule
// out beforehand is the Source's affair. What becomes of a message whose condition
// holds is the routes' affair.
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
// there in EBNF) and at eval.go for the meaning.
//
// A [Condition] is a dialect of its own: NOT binds tight, property names ignore
// case and take nearly every character, properties are strings, types that do not
// fit are refused when a route is made, and what a body lacks equals null. It
// shares with queries the scanner, the nodes of operators, values and their
// comparison. Begin at [ParseCondition] and [Subject]; the grammar is in
// condition_parser.go, the meaning in condition_eval.go.
//
// Sections such as A5 and B6 refer to the query-language sheet: A is queries, B
// conditions.
package query
