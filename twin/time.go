package twin

import "time"

// A tick is 100 ns. Ticks count from the beginning of the year 1, so that 0 is
// the time the wire uses for "never", 0001-01-01T00:00:00Z.
const (
	ticksPerSecond = 10_000_000
	unixEpoch      = 62_135_596_800                     // seconds from year 1 to 1970
	maxTicks       = 315_537_897_600*ticksPerSecond - 1 // the end of the year 9999
)

// Ticks is t in ticks of 100 ns since the beginning of the year 1: the last one
// that began at or before t, kept within the years 1 to 9999. The zero time gives
// 0.
func Ticks(t time.Time) int64 {
	second := t.Unix() + unixEpoch
	if second < 0 {
		return 0
	}
	if second > maxTicks/ticksPerSecond {
		return maxTicks
	}
	return second*ticksPerSecond + int64(t.Nanosecond())/100
}

// AppendTime appends t as twins print times: UTC with seven fractional digits,
// 2024-03-01T08:00:00.1234567Z. Years before 1 and after 9999 are cut to the
// nearest time that has this form.
func AppendTime(dst []byte, t time.Time) []byte { return AppendTicks(dst, Ticks(t)) }

// AppendTicks appends the time that [Ticks] gave as at, in the form of
// [AppendTime].
func AppendTicks(dst []byte, at int64) []byte {
	at = min(max(at, 0), maxTicks)
	second, fraction := at/ticksPerSecond, at%ticksPerSecond
	t := time.Unix(second-unixEpoch, 0).UTC()
	year, month, day := t.Date()
	hour, minute, sec := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendDigits(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendDigits(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, sec, 2)
	dst = append(dst, '.')
	dst = appendDigits(dst, int(fraction), 7)
	return append(dst, 'Z')
}

// appendDigits appends n in exactly width decimal digits.
func appendDigits(dst []byte, n, width int) []byte {
	dst = append(dst, "0000000"[:width]...)
	for i := len(dst) - 1; width > 0; i, width = i-1, width-1 {
		dst[i] = byte('0' + n%10)
		n /= 10
	}
	return dst
}
