// Package arch holds the imports of the product to the map that is printed
// in ARCHITECTURE.md, so that the map can be believed. It has tests only; begin
// at TestMap.
package arch
