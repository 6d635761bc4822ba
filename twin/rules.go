package twin

import (
	"strconv"
	"strings"
)

// checkKey refuses keys that are too long or hold what keys may not hold
// (twin-semantics section 4). The empty key is legal.
func (p *parser) checkKey(key string) {
	if len(key) > MaxKey {
		p.refuse("Property or Tag name is longer than %d bytes. %s %s", MaxKey, p.errorIn(), strings.ToValidUTF8(key[:64], "")+"…")
		return
	}
	for i := range len(key) {
		switch c := key[i]; {
		case c <= ' ', c == '.', c == '$', c == '#', c == 0x7f,
			c == 0xc2 && key[i+1] < 0xa0: // C1; valid UTF-8 has a byte behind 0xc2
			p.refuse("Property or Tag name has invalid characters. Error in Property/Tag %s. Must not contain Control Characters, '.', '$', '#', or ' '.", key)
			return
		}
	}
}

// checkDepth refuses an object or array that is nested too deeply. A false
// result means that it must not be entered.
func (p *parser) checkDepth(key string, depth int) bool {
	if depth > MaxDepth {
		p.refuse("Property or Tag is nested deeper than %d levels. %s %s", MaxDepth, p.errorIn(), key)
	}
	return !p.stopped
}

func (p *parser) checkString(key, raw string) {
	// Decoding never makes a string longer, so most need no count.
	if len(raw)-2 <= MaxString {
		return
	}
	if length, _, _ := measure(raw); length > MaxString {
		p.refuse("Property or Tag value is longer than %d bytes. %s %s", MaxString, p.errorIn(), key)
	}
}

// checkInteger refuses whole numbers out of range. Numbers with a fraction or
// an exponent are doubles and have no range (twin-semantics section 3).
func (p *parser) checkInteger(key, raw string) {
	const safe = len("999999999999999") // any integer as short as this is in range
	if len(raw) <= safe {
		return
	}
	if n, err := strconv.ParseInt(raw, 10, 64); err != nil || n < MinInteger || n > MaxInteger {
		p.refuse("Property or Tag value is an integer outside %d to %d. %s %s", int64(MinInteger), int64(MaxInteger), p.errorIn(), key)
	}
}

func (p *parser) refuseNull(key string) {
	p.refuse("Value of Property or Tag cannot be null. %s %s", p.errorIn(), key)
}

func (p *parser) refuseSection() {
	p.refuse("Provided json is not a valid 'tags' or 'properties' object.")
}

// errorIn introduces the key of an error. What devices are told lacks a blank
// (twin-semantics section 14).
func (p *parser) errorIn() string {
	if p.device {
		return "Error inProperty/Tag"
	}
	return "Error in Property/Tag"
}
