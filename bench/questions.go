package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/internal/fleet"
)

// A question is asked of the hub and of PostgreSQL, each in its own language.
type question struct {
	Name string
	Hub  string
	SQL  string // without LIMIT
	// Page is the number of rows to ask for; 0 if the answer is counts or groups,
	// which are then compared one by one.
	Page int
}

// sql is the statement to measure.
func (q question) sql() string {
	if q.Page > 0 {
		return fmt.Sprintf("%s LIMIT %d", q.SQL, q.Page)
	}
	return q.SQL
}

// counts gives both texts of how many rows there are in all, for a question
// that shows only a page of them.
func (q question) counts() question {
	_, rest, _ := strings.Cut(q.Hub, " FROM ")
	q.Hub = "SELECT COUNT() AS n FROM " + rest
	q.SQL = "SELECT count(*) AS n FROM (" + q.SQL + ") AS found"
	q.Page = 0
	return q
}

// samples are values that occur in the fleet, for questions about them.
type samples struct {
	serial   string // of one twin
	prefix   string // of the serials of 1 in 4,096
	ids      [5]string
	active   string // lastActivityTime of a twin loaded late: 1 % are later
	reported string // its properties.reported.$metadata.$lastUpdated
}

// sample looks the times up in the hub, because they differ with each load.
func (f fleetSpec) sample(ctx context.Context, c *client.Client) (s samples, err error) {
	for i := range s.ids {
		s.ids[i] = fleet.NewSynthetic(f.Seed, f.Twins*(2*i+1)/10).ID
	}
	var tags struct{ Serial string }
	if err := json.Unmarshal(fleet.NewSynthetic(f.Seed, f.Twins/2).Tags, &tags); err != nil {
		return s, err
	}
	s.serial, s.prefix = tags.Serial, tags.Serial[:len("SN-123")]
	late, err := c.Twin(ctx, fleet.NewSynthetic(f.Seed, f.Twins/100*99).ID)
	if err != nil {
		return s, err
	}
	var times struct {
		LastActivityTime string
		Properties       struct {
			Reported struct {
				Metadata struct {
					LastUpdated string `json:"$lastUpdated"`
				} `json:"$metadata"`
			}
		}
	}
	err = json.Unmarshal(late.Document, &times)
	s.active, s.reported = times.LastActivityTime, times.Properties.Reported.Metadata.LastUpdated
	return s, err
}

// questions are those of the report. The column body is the twin without
// $metadata, doc the whole of it; see postgres.go. Where PostgreSQL has several
// ways to say the same, its text is the one that an index helps.
func questions(s samples) []question {
	return []question{
		{"two equalities, first 100",
			`SELECT * FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'`,
			`SELECT doc FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}},"properties":{"reported":{"connectivity":{"type":"cellular"}}}}'`, 100},
		{"two equalities, count",
			`SELECT COUNT() AS n FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'`,
			`SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}},"properties":{"reported":{"connectivity":{"type":"cellular"}}}}'`, 0},
		{"one unique value",
			`SELECT * FROM devices WHERE tags.serial = '` + s.serial + `'`,
			`SELECT doc FROM twins WHERE body #>> '{tags,serial}' = '` + s.serial + `'`, 100},
		{"five ids, IN",
			`SELECT * FROM devices WHERE deviceId IN ['` + strings.Join(s.ids[:], `','`) + `']`,
			`SELECT doc FROM twins WHERE device_id IN ('` + strings.Join(s.ids[:], `','`) + `')`, 100},
		{"80 % match, first 100",
			`SELECT * FROM devices WHERE tags.ring = 'stable'`,
			`SELECT doc FROM twins WHERE body @> '{"tags":{"ring":"stable"}}'`, 100},
		{"numbers, narrow range, first 100",
			`SELECT * FROM devices WHERE properties.reported.temperature > 85`,
			`SELECT doc FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 85`, 100},
		{"numbers, two wide ranges, first 100",
			`SELECT * FROM devices WHERE properties.reported.temperature > 40 AND properties.reported.battery < 50`,
			`SELECT doc FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 40 AND (body #> '{properties,reported,battery}')::float8 < 50`, 100},
		{"numbers, two wide ranges, count",
			`SELECT COUNT() AS n FROM devices WHERE properties.reported.temperature > 40 AND properties.reported.battery < 50`,
			`SELECT count(*) AS n FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 40 AND (body #> '{properties,reported,battery}')::float8 < 50`, 0},
		{"not equal, count",
			`SELECT COUNT() AS n FROM devices WHERE properties.reported.status != 'Success'`,
			`SELECT count(*) AS n FROM twins WHERE body #>> '{properties,reported,status}' <> 'Success'`, 0},
		{"IS_DEFINED, count",
			`SELECT COUNT() AS n FROM devices WHERE IS_DEFINED(properties.reported.lastError.code)`,
			`SELECT count(*) AS n FROM twins WHERE body #> '{properties,reported,lastError,code}' IS NOT NULL`, 0},
		{"NOT IS_DEFINED, first 100",
			`SELECT * FROM devices WHERE NOT IS_DEFINED(tags.contract)`,
			`SELECT doc FROM twins WHERE body #> '{tags,contract}' IS NULL`, 100},
		{"STARTSWITH, first 100",
			`SELECT * FROM devices WHERE STARTSWITH(tags.serial, '` + s.prefix + `')`,
			`SELECT doc FROM twins WHERE body #>> '{tags,serial}' LIKE '` + s.prefix + `%'`, 100},
		{"IN three versions, count",
			`SELECT COUNT() AS n FROM devices WHERE properties.reported.firmware.version IN ['2.1.3', '3.0.1', '3.1.2']`,
			`SELECT count(*) AS n FROM twins WHERE body #>> '{properties,reported,firmware,version}' IN ('2.1.3', '3.0.1', '3.1.2')`, 0},
		{"OR, count",
			`SELECT COUNT() AS n FROM devices WHERE tags.location.plant = 'Lyon10' OR tags.customer = 'customer-77'`,
			`SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Lyon10"}}}' OR body @> '{"tags":{"customer":"customer-77"}}'`, 0},
		{"mixed types, a number, count",
			`SELECT COUNT() AS n FROM devices WHERE tags.slot = 12`,
			`SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"slot":12}}'`, 0},
		{"path against path, count",
			`SELECT COUNT() AS n FROM devices WHERE properties.desired.firmware.version != properties.reported.firmware.version`,
			`SELECT count(*) AS n FROM twins WHERE body #> '{properties,desired,firmware,version}' <> body #> '{properties,reported,firmware,version}'`, 0},
		{"element of an array, count",
			`SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(properties.desired.features, 'mesh')`,
			`SELECT count(*) AS n FROM twins WHERE body @> '{"properties":{"desired":{"features":["mesh"]}}}'`, 0},
		{"lastActivityTime, count",
			`SELECT COUNT() AS n FROM devices WHERE lastActivityTime > '` + s.active + `'`,
			`SELECT count(*) AS n FROM twins WHERE body ->> 'lastActivityTime' > '` + s.active + `'`, 0},
		{"$lastUpdated, first 100",
			`SELECT * FROM devices WHERE properties.reported.$metadata.$lastUpdated > '` + s.reported + `'`,
			`SELECT doc FROM twins WHERE doc #>> '{properties,reported,$metadata,$lastUpdated}' > '` + s.reported + `'`, 100},
		{"GROUP BY status",
			`SELECT properties.reported.status AS status, COUNT() AS n FROM devices GROUP BY properties.reported.status`,
			`SELECT body #>> '{properties,reported,status}' AS status, count(*) AS n FROM twins GROUP BY 1`, 0},
		{"GROUP BY status in one plant",
			`SELECT properties.reported.status AS status, COUNT() AS n FROM devices WHERE tags.location.plant = 'Redmond43' GROUP BY properties.reported.status`,
			`SELECT body #>> '{properties,reported,status}' AS status, count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}}}' GROUP BY 1`, 0},
		{"GROUP BY region, type",
			`SELECT tags.location.region AS region, properties.reported.connectivity.type AS type, COUNT() AS n FROM devices GROUP BY tags.location.region, properties.reported.connectivity.type`,
			`SELECT body #>> '{tags,location,region}' AS region, body #>> '{properties,reported,connectivity,type}' AS type, count(*) AS n FROM twins GROUP BY 1, 2`, 0},
		{"AVG by region",
			`SELECT tags.location.region AS region, AVG(properties.reported.temperature) AS mean FROM devices GROUP BY tags.location.region`,
			`SELECT body #>> '{tags,location,region}' AS region, avg((body #> '{properties,reported,temperature}')::float8) AS mean FROM twins GROUP BY 1`, 0},
		{"count of all",
			`SELECT COUNT() AS n FROM devices`,
			`SELECT count(*) AS n FROM twins`, 0},
		{"whole twins, 1,000",
			`SELECT * FROM devices`,
			`SELECT doc FROM twins`, 1000},
		{"three members, 1,000",
			`SELECT deviceId, tags.location.plant, properties.reported.temperature FROM devices WHERE tags.location.region = 'us-west'`,
			`SELECT device_id, body #> '{tags,location,plant}' AS plant, body #> '{properties,reported,temperature}' AS temperature FROM twins WHERE body @> '{"tags":{"location":{"region":"us-west"}}}'`, 1000},
	}
}
