package fleet

import (
	"math/rand/v2"
	"strconv"
)

// Synthetic is one twin of a made-up fleet, for measurements. Its sections are
// JSON objects, about 1 KB together, with some 35 leaves of the kinds that real
// fleets have:
//
//	tags.serial                          its own in each twin
//	tags.location.plant                  100 plants; the most common has 10 % of all twins, Redmond43 0.76 %
//	tags.location.region                 8 regions, which follow from the plant
//	tags.customer                        5,000 names, skewed likewise
//	tags.ring                            stable 80 %, beta, canary
//	tags.contract                        missing in 60 %
//	tags.slot                            missing in 20 %; elsewhere a number, a string of digits, another string, or a boolean
//	properties.desired.firmware.version  40 versions, skewed
//	properties.desired.features          an array, which may be empty
//	properties.reported.firmware.version 85 % have the desired one
//	properties.reported.connectivity     type: wifi 45 %, cellular 33 %, ethernet 22 %; rssi is missing with ethernet
//	properties.reported.status           Success 80 %, Pending, Failed, Unknown; statusCode goes with it
//	properties.reported.temperature      around 45, one decimal; 0.1 % are above 85
//	properties.reported.battery          0…100; missing where charging is
//	properties.reported.uptime, position nearly unique
//	properties.reported.lastError        an object, missing in 88 %
//
// So tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type
// = 'cellular' holds for 0.25 % of the twins.
type Synthetic struct {
	ID                      string
	Tags, Desired, Reported []byte
}

// NewSynthetic makes twin number i, from 0, of the fleet that seed names. Each
// twin follows from seed and i alone, and ids are in the order of their numbers.
func NewSynthetic(seed uint64, i int) Synthetic {
	g := &maker{r: rand.New(rand.NewPCG(seed, uint64(i))), number: i}
	return Synthetic{ID: syntheticID(i), Tags: g.tags(), Desired: g.desired(), Reported: g.reported()}
}

func syntheticID(i int) string {
	digits := strconv.Itoa(i)
	return "unit-00000000"[:max(13-len(digits), 5)] + digits
}

// A maker draws one twin. What two sections must agree upon stands here between
// them.
type maker struct {
	r      *rand.Rand
	number int
	wanted string // desired firmware
}

var (
	cities     = []string{"Lyon", "Turku", "Osaka", "Redmond", "Pune", "Recife", "Kassel", "Durban", "Leeds", "Tampico"}
	regions    = []string{"eu-west", "eu-north", "ap-east", "us-west", "ap-south", "sa-east", "eu-central", "af-south"}
	contracts  = []string{"bronze", "silver", "gold"}
	features   = []string{"ota", "vibration", "audio", "edge-ml", "mesh", "geofence"}
	operators  = []string{"Telenor", "Orange", "Vodafone", "NTT", "Claro"}
	intervals  = []int64{10, 30, 60, 300, 900}
	bootCauses = []string{"power", "update", "watchdog", "user"}
)

func (g *maker) tags() []byte {
	plant := g.skewed(100)
	o := objectWriter{}
	// An odd factor permutes the 32-bit numbers: serials scatter and never meet.
	o.text("serial", "SN-"+hex(uint64(uint32(g.number)*2654435761), 8))
	o.open("location")
	o.text("region", regions[plant%len(regions)])
	o.text("plant", cities[plant%len(cities)]+strconv.Itoa(plant))
	o.text("building", "B-"+strconv.Itoa(1+g.r.IntN(20)))
	o.number("floor", int64(g.r.IntN(10)))
	o.close()
	o.text("customer", "customer-"+strconv.Itoa(g.skewed(5000)))
	o.text("ring", g.among(80, "stable", 15, "beta", 5, "canary"))
	if g.chance(40) {
		o.text("contract", contracts[g.r.IntN(len(contracts))])
	}
	g.slot(&o)
	o.text("note", "unit was replaced in spring and calibrated anew; keep calibration table "+
		strconv.Itoa(g.r.IntN(500))+" for one more season, then ask the plant for a new one")
	return o.end()
}

// slot is the path whose values are of many types.
func (g *maker) slot(o *objectWriter) {
	n := g.skewed(32)
	switch k := g.r.IntN(10); {
	case k < 4:
		o.number("slot", int64(n))
	case k < 6:
		o.text("slot", strconv.Itoa(n))
	case k < 7:
		o.text("slot", strconv.Itoa(n)+"b")
	case k < 8:
		o.truth("slot", n%2 == 0)
	}
}

func (g *maker) desired() []byte {
	g.wanted = version(g.skewed(40))
	o := objectWriter{}
	o.open("firmware")
	o.text("version", g.wanted)
	o.text("channel", g.among(90, "stable", 10, "preview"))
	o.text("url", "https://firmware.example.com/"+g.wanted+".bin")
	o.text("sha", hex(g.r.Uint64(), 16)+hex(g.r.Uint64(), 16)+hex(g.r.Uint64(), 16))
	o.close()
	o.open("telemetry")
	o.number("interval", intervals[g.skewed(len(intervals))])
	o.number("batch", int64(1+g.r.IntN(50)))
	o.close()
	o.open("limits")
	o.decimal("low", int64(-400+g.r.IntN(100)))
	o.decimal("high", int64(1000+g.r.IntN(300)))
	o.close()
	o.texts("features", features, func() bool { return g.chance(30) })
	o.text("fan", g.among(70, "auto", 20, "on", 10, "off"))
	return o.end()
}

func (g *maker) reported() []byte {
	o := objectWriter{}
	g.firmware(&o)
	g.connectivity(&o)
	g.status(&o)
	// The sum of three draws has its weight in the middle, and thin ends.
	o.decimal("temperature", int64(g.r.IntN(301)+g.r.IntN(301)+g.r.IntN(301)))
	o.decimal("humidity", int64(g.r.IntN(1001)))
	charging := g.chance(25)
	o.truth("charging", charging)
	if !charging {
		o.number("battery", int64(g.r.IntN(101)))
	}
	o.number("uptime", int64(g.r.IntN(100_000_000)))
	o.open("boot")
	o.number("count", int64(g.skewed(400)))
	o.text("cause", bootCauses[g.skewed(len(bootCauses))])
	o.close()
	o.open("position")
	o.decimal("north", int64(g.r.IntN(9_000_000)))
	o.decimal("east", int64(g.r.IntN(18_000_000)))
	o.close()
	return o.end()
}

func (g *maker) firmware(o *objectWriter) {
	have := g.wanted
	if g.chance(15) {
		have = version(g.skewed(40))
	}
	o.open("firmware")
	o.text("version", have)
	o.text("installed", "2026-"+two(1+g.r.IntN(12))+"-"+two(1+g.r.IntN(28))+"T"+two(g.r.IntN(24))+":"+two(g.r.IntN(60))+":00Z")
	o.close()
}

func (g *maker) connectivity(o *objectWriter) {
	kind := g.among(45, "wifi", 33, "cellular", 22, "ethernet")
	o.open("connectivity")
	o.text("type", kind)
	switch kind {
	case "cellular":
		o.text("operator", operators[g.skewed(len(operators))])
		fallthrough
	case "wifi":
		o.number("rssi", int64(-30-g.r.IntN(80)))
	}
	o.text("ip", "10."+strconv.Itoa(g.r.IntN(256))+"."+strconv.Itoa(g.r.IntN(256))+"."+strconv.Itoa(g.r.IntN(256)))
	o.close()
}

func (g *maker) status(o *objectWriter) {
	status := g.among(80, "Success", 12, "Pending", 7, "Failed", 1, "Unknown")
	codes := map[string]int64{"Success": 200, "Pending": 202, "Failed": 500, "Unknown": 404}
	o.text("status", status)
	o.number("statusCode", codes[status])
	if g.chance(12) {
		o.open("lastError")
		o.number("code", int64(100+g.skewed(60)))
		o.text("message", "sensor "+strconv.Itoa(g.r.IntN(16))+" did not answer in time")
		o.close()
	}
}

// skewed draws one of n numbers, small ones more often: below m with the
// probability of the square root of m/n.
func (g *maker) skewed(n int) int {
	u := g.r.Float64()
	return int(float64(n) * u * u)
}

func (g *maker) chance(percent int) bool { return g.r.IntN(100) < percent }

// among draws from pairs of percent and text, which make 100 together.
func (g *maker) among(pairs ...any) string {
	at := g.r.IntN(100)
	for i := 0; ; i += 2 {
		if at -= pairs[i].(int); at < 0 {
			return pairs[i+1].(string)
		}
	}
}

func version(n int) string {
	return strconv.Itoa(1+n/16) + "." + strconv.Itoa(n/4%4) + "." + strconv.Itoa(n%4)
}

func two(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

// hex gives the last digits of v.
func hex(v uint64, digits int) string {
	b := make([]byte, digits)
	for i := range b {
		b[digits-1-i] = "0123456789ABCDEF"[v>>(4*i)&15]
	}
	return string(b)
}

// An objectWriter writes a JSON object. Names and texts must need no escapes.
type objectWriter struct{ b []byte }

func (o *objectWriter) name(name string) {
	c := byte(',')
	switch {
	case len(o.b) == 0:
		c = '{'
	case o.b[len(o.b)-1] == '{':
		c = 0
	}
	if c != 0 {
		o.b = append(o.b, c)
	}
	o.b = append(o.b, '"')
	o.b = append(o.b, name...)
	o.b = append(o.b, `":`...)
}

func (o *objectWriter) text(name, v string) {
	o.name(name)
	o.b = append(o.b, '"')
	o.b = append(o.b, v...)
	o.b = append(o.b, '"')
}

func (o *objectWriter) number(name string, v int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, v, 10)
}

// decimal writes a number of tenths.
func (o *objectWriter) decimal(name string, tenths int64) {
	o.name(name)
	o.b = strconv.AppendFloat(o.b, float64(tenths)/10, 'f', 1, 64)
}

func (o *objectWriter) truth(name string, v bool) {
	o.name(name)
	o.b = strconv.AppendBool(o.b, v)
}

// texts writes an array of those of all that in accepts.
func (o *objectWriter) texts(name string, all []string, in func() bool) {
	o.name(name)
	o.b = append(o.b, '[')
	for _, v := range all {
		if in() {
			o.b = append(o.b, '"')
			o.b = append(o.b, v...)
			o.b = append(o.b, `",`...)
		}
	}
	if last := len(o.b) - 1; o.b[last] == ',' {
		o.b = o.b[:last]
	}
	o.b = append(o.b, ']')
}

func (o *objectWriter) open(name string) {
	o.name(name)
	o.b = append(o.b, '{')
}

func (o *objectWriter) close() { o.b = append(o.b, '}') }

func (o *objectWriter) end() []byte { return append(o.b, '}') }
