package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hubtwin/hubtwin/client"
	"github.com/hubtwin/hubtwin/internal/fleet"
)

// A question is asked of the hub and of databases, each in its own language.
type question struct {
	Name string
	Hub  string
	SQL  string // of PostgreSQL, without LIMIT
	Lite string // of SQLite, likewise; "" to leave it out
	// Page is the number of rows to ask for; 0 if the answer is counts or groups,
	// which are then compared one by one.
	Page int
	// Ordered asks PostgreSQL for the rows in the order of ids, which is the hub's:
	// a page that another one can follow.
	Ordered bool
}

func (q question) postgres() string {
	if q.Ordered {
		return q.paged(q.SQL + " ORDER BY device_id")
	}
	return q.paged(q.SQL)
}

func (q question) sqlite() string { return q.paged(q.Lite) }

func (q question) paged(sql string) string {
	if q.Page > 0 && sql != "" {
		return fmt.Sprintf("%s LIMIT %d", sql, q.Page)
	}
	return sql
}

// counts asks how many rows there are in all, for a question that shows only a
// page of them.
func (q question) counts() question {
	_, rest, _ := strings.Cut(q.Hub, " FROM ")
	q.Hub = "SELECT COUNT() AS n FROM " + rest
	q.SQL = "SELECT count(*) AS n FROM (" + q.SQL + ") AS found"
	if q.Lite != "" {
		q.Lite = "SELECT count(*) AS n FROM (" + q.Lite + ")"
	}
	q.Page, q.Ordered = 0, false
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
	late, err := c.Twin(ctx, fleet.NewSynthetic(f.Seed, f.Twins/100*99).ID, "")
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
		{Name: "two equalities, first page of 100",
			Hub:  `SELECT * FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'`,
			SQL:  `SELECT doc FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}},"properties":{"reported":{"connectivity":{"type":"cellular"}}}}'`,
			Page: 100, Ordered: true,
		},
		{Name: "two equalities, any 100",
			Hub:  `SELECT * FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'`,
			SQL:  `SELECT doc FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}},"properties":{"reported":{"connectivity":{"type":"cellular"}}}}'`,
			Lite: `SELECT doc FROM twins WHERE body ->> '$.tags.location.plant' = 'Redmond43' AND body ->> '$.properties.reported.connectivity.type' = 'cellular'`,
			Page: 100,
		},
		{Name: "two equalities, count",
			Hub:  `SELECT COUNT() AS n FROM devices WHERE tags.location.plant = 'Redmond43' AND properties.reported.connectivity.type = 'cellular'`,
			SQL:  `SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}},"properties":{"reported":{"connectivity":{"type":"cellular"}}}}'`,
			Lite: `SELECT count(*) AS n FROM twins WHERE body ->> '$.tags.location.plant' = 'Redmond43' AND body ->> '$.properties.reported.connectivity.type' = 'cellular'`,
		},
		{Name: "one unique value",
			Hub:  `SELECT * FROM devices WHERE tags.serial = '` + s.serial + `'`,
			SQL:  `SELECT doc FROM twins WHERE body #>> '{tags,serial}' = '` + s.serial + `'`,
			Lite: `SELECT doc FROM twins WHERE body ->> '$.tags.serial' = '` + s.serial + `'`,
			Page: 100,
		},
		{Name: "five ids, IN",
			Hub:  `SELECT * FROM devices WHERE deviceId IN ['` + strings.Join(s.ids[:], `','`) + `']`,
			SQL:  `SELECT doc FROM twins WHERE device_id IN ('` + strings.Join(s.ids[:], `','`) + `')`,
			Page: 100,
		},
		{Name: "80 % match, first 100",
			Hub:  `SELECT * FROM devices WHERE tags.ring = 'stable'`,
			SQL:  `SELECT doc FROM twins WHERE body @> '{"tags":{"ring":"stable"}}'`,
			Page: 100,
		},
		{Name: "numbers, narrow range, first 100",
			Hub:  `SELECT * FROM devices WHERE properties.reported.temperature > 85`,
			SQL:  `SELECT doc FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 85`,
			Lite: `SELECT doc FROM twins WHERE body ->> '$.properties.reported.temperature' > 85`,
			Page: 100,
		},
		{Name: "numbers, two wide ranges, first 100",
			Hub:  `SELECT * FROM devices WHERE properties.reported.temperature > 40 AND properties.reported.battery < 50`,
			SQL:  `SELECT doc FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 40 AND (body #> '{properties,reported,battery}')::float8 < 50`,
			Page: 100,
		},
		{Name: "numbers, two wide ranges, count",
			Hub:  `SELECT COUNT() AS n FROM devices WHERE properties.reported.temperature > 40 AND properties.reported.battery < 50`,
			SQL:  `SELECT count(*) AS n FROM twins WHERE (body #> '{properties,reported,temperature}')::float8 > 40 AND (body #> '{properties,reported,battery}')::float8 < 50`,
			Lite: `SELECT count(*) AS n FROM twins WHERE body ->> '$.properties.reported.temperature' > 40 AND body ->> '$.properties.reported.battery' < 50`,
		},
		{Name: "not equal, count",
			Hub:  `SELECT COUNT() AS n FROM devices WHERE properties.reported.status != 'Success'`,
			SQL:  `SELECT count(*) AS n FROM twins WHERE body #>> '{properties,reported,status}' <> 'Success'`,
			Lite: `SELECT count(*) AS n FROM twins WHERE body ->> '$.properties.reported.status' <> 'Success'`,
		},
		{Name: "IS_DEFINED, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE IS_DEFINED(properties.reported.lastError.code)`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body #> '{properties,reported,lastError,code}' IS NOT NULL`,
		},
		{Name: "NOT IS_DEFINED, first 100",
			Hub:  `SELECT * FROM devices WHERE NOT IS_DEFINED(tags.contract)`,
			SQL:  `SELECT doc FROM twins WHERE body #> '{tags,contract}' IS NULL`,
			Page: 100,
		},
		{Name: "STARTSWITH, first 100",
			Hub:  `SELECT * FROM devices WHERE STARTSWITH(tags.serial, '` + s.prefix + `')`,
			SQL:  `SELECT doc FROM twins WHERE body #>> '{tags,serial}' LIKE '` + s.prefix + `%'`,
			Lite: `SELECT doc FROM twins WHERE body ->> '$.tags.serial' GLOB '` + s.prefix + `*'`,
			Page: 100,
		},
		{Name: "IN three versions, count",
			Hub:  `SELECT COUNT() AS n FROM devices WHERE properties.reported.firmware.version IN ['2.1.3', '3.0.1', '3.1.2']`,
			SQL:  `SELECT count(*) AS n FROM twins WHERE body #>> '{properties,reported,firmware,version}' IN ('2.1.3', '3.0.1', '3.1.2')`,
			Lite: `SELECT count(*) AS n FROM twins WHERE body ->> '$.properties.reported.firmware.version' IN ('2.1.3', '3.0.1', '3.1.2')`,
		},
		{Name: "OR, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE tags.location.plant = 'Lyon10' OR tags.customer = 'customer-77'`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Lyon10"}}}' OR body @> '{"tags":{"customer":"customer-77"}}'`,
		},
		{Name: "mixed types, a number, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE tags.slot = 12`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body @> '{"tags":{"slot":12}}'`,
		},
		{Name: "path against path, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE properties.desired.firmware.version != properties.reported.firmware.version`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body #> '{properties,desired,firmware,version}' <> body #> '{properties,reported,firmware,version}'`,
		},
		{Name: "element of an array, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE ARRAY_CONTAINS(properties.desired.features, 'mesh')`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body @> '{"properties":{"desired":{"features":["mesh"]}}}'`,
		},
		{Name: "lastActivityTime, count",
			Hub: `SELECT COUNT() AS n FROM devices WHERE lastActivityTime > '` + s.active + `'`,
			SQL: `SELECT count(*) AS n FROM twins WHERE body ->> 'lastActivityTime' > '` + s.active + `'`,
		},
		{Name: "$lastUpdated, first 100",
			Hub:  `SELECT * FROM devices WHERE properties.reported.$metadata.$lastUpdated > '` + s.reported + `'`,
			SQL:  `SELECT doc FROM twins WHERE doc #>> '{properties,reported,$metadata,$lastUpdated}' > '` + s.reported + `'`,
			Page: 100,
		},
		{Name: "GROUP BY status",
			Hub:  `SELECT properties.reported.status AS status, COUNT() AS n FROM devices GROUP BY properties.reported.status`,
			SQL:  `SELECT body #>> '{properties,reported,status}' AS status, count(*) AS n FROM twins GROUP BY 1`,
			Lite: `SELECT body ->> '$.properties.reported.status' AS status, count(*) AS n FROM twins GROUP BY 1`,
		},
		{Name: "GROUP BY status in one plant",
			Hub: `SELECT properties.reported.status AS status, COUNT() AS n FROM devices WHERE tags.location.plant = 'Redmond43' GROUP BY properties.reported.status`,
			SQL: `SELECT body #>> '{properties,reported,status}' AS status, count(*) AS n FROM twins WHERE body @> '{"tags":{"location":{"plant":"Redmond43"}}}' GROUP BY 1`,
		},
		{Name: "GROUP BY region, type",
			Hub:  `SELECT tags.location.region AS region, properties.reported.connectivity.type AS type, COUNT() AS n FROM devices GROUP BY tags.location.region, properties.reported.connectivity.type`,
			SQL:  `SELECT body #>> '{tags,location,region}' AS region, body #>> '{properties,reported,connectivity,type}' AS type, count(*) AS n FROM twins GROUP BY 1, 2`,
			Lite: `SELECT body ->> '$.tags.location.region' AS region, body ->> '$.properties.reported.connectivity.type' AS type, count(*) AS n FROM twins GROUP BY 1, 2`,
		},
		{Name: "AVG by region",
			Hub:  `SELECT tags.location.region AS region, AVG(properties.reported.temperature) AS mean FROM devices GROUP BY tags.location.region`,
			SQL:  `SELECT body #>> '{tags,location,region}' AS region, avg((body #> '{properties,reported,temperature}')::float8) AS mean FROM twins GROUP BY 1`,
			Lite: `SELECT body ->> '$.tags.location.region' AS region, avg(body ->> '$.properties.reported.temperature') AS mean FROM twins GROUP BY 1`,
		},
		{Name: "count of all",
			Hub:  `SELECT COUNT() AS n FROM devices`,
			SQL:  `SELECT count(*) AS n FROM twins`,
			Lite: `SELECT count(*) AS n FROM twins`,
		},
		{Name: "whole twins, 1,000",
			Hub:  `SELECT * FROM devices`,
			SQL:  `SELECT doc FROM twins`,
			Lite: `SELECT doc FROM twins`,
			Page: 1000,
		},
		{Name: "three members, 1,000",
			Hub:  `SELECT deviceId, tags.location.plant, properties.reported.temperature FROM devices WHERE tags.location.region = 'us-west'`,
			SQL:  `SELECT device_id, body #> '{tags,location,plant}' AS plant, body #> '{properties,reported,temperature}' AS temperature FROM twins WHERE body @> '{"tags":{"location":{"region":"us-west"}}}'`,
			Page: 1000,
		},
	}
}
