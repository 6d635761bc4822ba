package packet

import (
	"bytes"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// Another implementation reads what this one writes, and writes the same bytes.
func TestPahoAgrees(t *testing.T) {
	connect, err := AppendConnect(nil, &Connect{CleanSession: true, KeepAlive: 240, ClientID: []byte("d1"), HasWill: true,
		Will:     Will{Topic: []byte("devices/d1/messages/events/"), Payload: []byte("gone"), QoS: 1, Retain: true},
		Username: []byte("h/d1/?api-version=2021-04-12"), Password: []byte("SharedAccessSignature sr=h")})
	if err != nil {
		t.Fatal(err)
	}
	publish, err := AppendPublish(nil, PublishHeader(1, true, true), 513, make([]byte, 300), "devices/", "d1")
	if err != nil {
		t.Fatal(err)
	}
	subscribe, err := AppendSubscribe(nil, 3, Subscription{[]byte("a/#"), 1}, Subscription{[]byte("+"), 0})
	if err != nil {
		t.Fatal(err)
	}
	unsubscribe, err := AppendUnsubscribe(nil, 4, []byte("a/#"), []byte("+"))
	if err != nil {
		t.Fatal(err)
	}
	for name, wire := range map[string][]byte{
		"CONNECT":     connect,
		"CONNACK":     AppendConnack(nil, true, Accepted),
		"PUBLISH":     publish,
		"PUBACK":      AppendPuback(nil, 258),
		"SUBSCRIBE":   subscribe,
		"SUBACK":      AppendSuback(nil, 3, 1, SubackFailure),
		"UNSUBSCRIBE": unsubscribe,
		"UNSUBACK":    AppendUnsuback(nil, 4),
		"PINGREQ":     AppendPingreq(nil),
		"PINGRESP":    AppendPingresp(nil),
		"DISCONNECT":  AppendDisconnect(nil),
	} {
		read, err := packets.ReadPacket(bytes.NewReader(wire))
		if err != nil {
			t.Errorf("%s: Paho can't read % x: %v", name, wire, err)
			continue
		}
		var written bytes.Buffer
		if err := read.Write(&written); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(written.Bytes(), wire) {
			t.Errorf("%s: Paho writes % x, want % x", name, written.Bytes(), wire)
		}
	}
}
