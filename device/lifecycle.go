package device

import (
	"strconv"
	"time"
)

// Create completes what a caller asked for into an identity that is new: it
// gets a generation id, an etag, keys if none were given, and its scopes.
// Parent is the device that want.ParentScope names, nil if there is none.
// The failure is InvalidDeviceScope if that parent won't do.
func Create(want Identity, parent *Identity, now time.Time) (Identity, error) {
	if err := settleScopes(nil, &want, parent, now); err != nil {
		return Identity{}, err
	}
	want.GenerationID = strconv.FormatInt(ticks(now), 10)
	want.Etag = NextEtag("")
	want.StatusUpdatedTime = time.Time{}
	want.FillKeys()
	return want, nil
}

// Replace completes what a caller asked for into the successor of old. A PUT
// replaces everything: without keys in want the identity gets new ones. The
// generation stays, the etag moves, and so does StatusUpdatedTime if the status
// does. Parent and failures are those of [Create]; an edge device must also
// send back its own scope.
func Replace(old, want Identity, parent *Identity, now time.Time) (Identity, error) {
	if err := settleScopes(&old, &want, parent, now); err != nil {
		return Identity{}, err
	}
	want.GenerationID = old.GenerationID
	want.Etag = NextEtag(old.Etag)
	want.StatusUpdatedTime = old.StatusUpdatedTime
	if want.Status != old.Status {
		want.StatusUpdatedTime = fromTicks(ticks(now))
	}
	want.FillKeys()
	return want, nil
}

// SystemModules are the modules that the hub makes together with an edge
// device (service-rest-api sheet, 1.5). They are complete.
func SystemModules(deviceID string, now time.Time) []Identity {
	var modules []Identity
	for _, name := range []string{"$edgeAgent", "$edgeHub"} {
		modules = append(modules, Identity{
			ID:             ID{Device: deviceID, Module: name},
			GenerationID:   strconv.FormatInt(ticks(now), 10),
			Etag:           NextEtag(""),
			Status:         Enabled,
			Authentication: Authentication{Type: None},
			ManagedBy:      "iotEdge",
		})
	}
	return modules
}
