package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// nicsFile has what is known of QEMU's NICs, a row each.
const nicsFile = "testdata/nics.json"

// A nicRow is what xdplog does and sees on one.
type nicRow struct {
	Model   string   `json:"model"`             // as QEMU calls it
	Kernels []string `json:"kernels,omitempty"` // that the row is of; none: all of which there is no other row
	Driver  string   `json:"driver"`            // as ethtool calls it
	About   string   `json:"about,omitempty"`   // what it means for users

	Native string `json:"native"` // yes, or the words of who refuses it
	Place  string `json:"place"`  // that auto takes
	Says   string `json:"says"`   // what the first line says beside that

	// Stream is what native start and end do to a datagram a millisecond, of which at most
	// so many are lost. In auto's mode none is.
	Stream string `json:"stream,omitempty"`
	Most   int    `json:"most,omitempty"`

	// What auto makes of a datagram, of one whose frame has a tag of VLAN 10, and of one
	// with 10 behind 20; then the same where the card takes in all, in XDP and at tc.
	Frames      [3]string `json:"frames"`
	Promiscuous [3]string `json:"promiscuous"`
	TC          [3]string `json:"tc"`
}

// nicFrames are a datagram of each kind that a row has.
func nicFrames() (frames [3][]byte) {
	body := gopacket.Payload(make([]byte, 100))
	frames[0] = frame(ethernet(eth4), ipv4(protoUDP), udp(1234, nicPort), body)
	frames[1] = frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, nicPort+1), body)
	frames[2] = frame(ethernet(layers.EthernetTypeQinQ), vlan(20, dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, nicPort+2), body)
	return frames
}

// nicPort is the port of the first of nicFrames.
const nicPort = 1001

// TestNICs: what is known of QEMU's NICs is so, and auto harms traffic on none.
func TestNICs(t *testing.T) {
	there := cards(t)
	if len(there) == 0 {
		t.Skip("this kernel lacks QEMU's NICs: they are in guests for amd64 (make devices)")
	}
	rows := nicRows(t)
	for _, model := range nicModels(rows) {
		c, ok := there[model]
		if !ok {
			continue // a small guest has few
		}
		delete(there, model)
		t.Run(model, func(t *testing.T) {
			want := nicRowOf(t, rows, model)
			got := c.observe(t, want)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				text, _ := json.Marshal(got)
				t.Errorf("row %s", text)
			}
		})
	}
	for model := range there {
		t.Errorf("of %s there is no row", model)
	}
}

// observe is what a card does. What users are told of it before must be so.
func (c card) observe(t *testing.T, want nicRow) nicRow {
	lab := c.lab(t)
	before := lab.features(t)
	t.Logf("without xdplog: %v", lab.quiet(t, 2*time.Second))
	facts, _ := runCheck(t, lab.right, nil, "-i", right(0))
	fact := func(name string) fact { return facts[right(0)+" "+name] }
	row := nicRow{Model: want.Model, Kernels: want.Kernels, About: want.About, Driver: fact("driver").Found, Native: "yes"}

	refusal := start(t, lab.right, "-i", right(0), "--mode", "native", "-o", "none", "--duration", "100ms").wait(t)
	if refusal.status != 0 {
		_, words, _ := strings.Cut(strings.TrimSpace(refusal.stderr), right(0))
		row.Native = strings.TrimPrefix(strings.TrimLeft(words, ":, "), refused)
	} else {
		row.Stream, row.Most = lab.native(t, want)
	}
	auto := lab.unharmed(t, "auto")
	if !strings.Contains(auto.says, "generic XDP") {
		lab.unharmed(t, "generic")
	}
	row.Place, row.Says, row.Frames = lab.shoot(t)
	row.Says = strings.TrimPrefix(strings.TrimPrefix(row.Says, refused+row.Native), "; ")
	hides := strings.HasSuffix(row.Says, hidden)
	row.Says = strings.TrimSuffix(strings.TrimSuffix(row.Says, hidden), "; ") // which is a fact, below
	_, _, row.Promiscuous = lab.shoot(t, "--promiscuous")
	_, _, row.TC = lab.shoot(t, "--promiscuous", "--place", "tc")

	if after := lab.features(t); !slices.Equal(after, before) {
		t.Errorf("offloads are %v, and were %v", after, before)
	}
	if p := lab.attached(t, right(0)); p.id != 0 {
		t.Errorf("%v is left", p)
	}
	harm := fact("start and end")
	foretold := map[string]bool{
		"XDP features":  row.Native != "yes",
		"start and end": strings.Contains(row.Says, "native XDP would "),
		"offloads":      strings.Contains(row.Says, "meanwhile off"),
	}
	if hides || row.Promiscuous[1] == "no tag" {
		foretold["VLAN tags"] = true
	}
	if row.Promiscuous[1] == "no tag" && !hides {
		t.Errorf("tags are not seen, and the first line doesn't say so: %q", row.Says)
	}
	for name, bad := range foretold {
		if f := fact(name); f.Status != "unknown" && (f.Status == "no") != bad {
			t.Errorf("check says of %s: %+v", name, f)
		}
	}
	if down := strings.Contains(harm.Found, "take the link down"); row.Native == "yes" && down != (row.Stream == linkGoes) {
		t.Errorf("check says %q, and natively %s", harm.Found, row.Stream)
	}
	if harm.Status == "no" && !strings.Contains(row.Says, harm.Found) {
		t.Errorf("check says %q, and the first line %q", harm.Found, row.Says)
	}
	return row
}

// linkGoes is the worst that native mode does to a trickle.
const linkGoes = "the link goes and comes"

// native is what start and end in native mode do to a trickle, and the bound that the
// row has for it.
func (l *lab) native(t *testing.T, want nicRow) (does string, most int) {
	t.Helper()
	changes := l.carrierChanges(t)
	p := l.through(t, "--mode", "native")
	t.Logf("native: %v", p)
	changes = l.carrierChanges(t) - changes
	n := len(p.lost())
	if n > want.Most {
		t.Errorf("%d are lost, more than %d", n, want.Most)
	}
	switch {
	case changes > 0:
		return linkGoes, want.Most
	case n > 0:
		return "some are lost", want.Most
	}
	return "none is lost", want.Most
}

// unharmed has a trickle go through a run in a mode, of which none may be lost, unless
// this machine loses some without xdplog, too.
func (l *lab) unharmed(t *testing.T, mode string) *passage {
	t.Helper()
	p := l.through(t, "--mode", mode)
	t.Logf("%s: %v", mode, p)
	if n := len(p.lost()); n > 0 {
		if quiet := l.quiet(t, 2*p.ended); len(quiet.lost()) == 0 {
			t.Errorf("%s loses %d; without it: %v", mode, n, quiet)
		} else {
			t.Logf("%s loses %d; without it: %v", mode, n, quiet)
		}
	}
	return p
}

// quiet is a trickle without xdplog.
func (l *lab) quiet(t *testing.T, d time.Duration) *trickle {
	t.Helper()
	tr := l.trickle(t)
	time.Sleep(d)
	return tr.stop()
}

// shoot sends nicFrames to a run, and returns what it says and what it saw of each.
func (l *lab) shoot(t *testing.T, args ...string) (place, says string, saw [3]string) {
	t.Helper()
	capture := l.xdplog(t, append(args, "udp", "src", "port", "1234")...)
	said := listens.FindStringSubmatch(capture.stderr.String())
	if said == nil {
		t.Fatalf("it says\n%s", &capture.stderr)
	}
	time.Sleep(300 * time.Millisecond)
	frames := nicFrames()
	for _, f := range frames {
		l.sendTo(t, l.wires[0].to, f)
	}
	time.Sleep(1500 * time.Millisecond) // QEMU's e1000 holds frames back where promiscuity changes
	end := capture.stop(t)
	if n := uint64(len(end.lines)); end.counters.Captured != n || end.counters.Lost != 0 {
		t.Errorf("%d lines, and the counters are %+v", n, end.counters)
	}
	for i := range saw {
		saw[i] = "nothing"
	}
	for _, line := range end.lines {
		e := parseEvent(t, line)
		i := int(e.Port) - nicPort
		if i < 0 || i >= len(saw) || saw[i] != "nothing" || e.Interface != right(0) {
			t.Errorf("an event too many, or a wrong one: %v", e)
			continue
		}
		saw[i] = sawTags(t, e, len(frames[i]), i)
	}
	return said[1], said[2], saw
}

// sawTags is what an event says of a frame of a length in which there were some tags.
func sawTags(t *testing.T, e event, length, tags int) string {
	var said struct {
		VLAN []int `json:"vlan"`
	}
	if err := json.Unmarshal([]byte("{"+e.text+"}"), &said); err != nil {
		t.Error(err)
	}
	text := "no tag"
	switch {
	case len(said.VLAN) > 0:
		text = strings.ReplaceAll(strings.Trim(fmt.Sprint(said.VLAN), "[]"), " ", "/")
	case tags == 0:
		text = "seen"
	}
	if missing := length - e.Length; missing != 0 && missing != 4*(tags-len(said.VLAN)) {
		text += fmt.Sprintf(", %d bytes less", missing)
	}
	return text
}

// nicRowOf is the row of a model under the kernel that runs.
func nicRowOf(t *testing.T, rows []nicRow, model string) (row nicRow) {
	t.Helper()
	major, minor := linux(t)
	series := fmt.Sprintf("%d.%d", major, minor)
	for _, r := range rows {
		if r.Model == model && (r.Kernels == nil && row.Kernels == nil || slices.Contains(r.Kernels, series)) {
			row = r
		}
	}
	return row
}

// nicModels are those of rows, in their order.
func nicModels(rows []nicRow) (models []string) {
	for _, r := range rows {
		models = append(models, r.Model)
	}
	return slices.Compact(models)
}

func nicRows(t *testing.T) (rows []nicRow) {
	t.Helper()
	content, err := os.ReadFile(nicsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &rows); err != nil {
		t.Fatalf("%s: %v", nicsFile, err)
	}
	return rows
}

// TestNICsDoc: docs/devices.md has the table of rows.
func TestNICsDoc(t *testing.T) {
	var table strings.Builder
	table.WriteString("| model (driver) | native: what start and end do | auto takes | a tag of VLAN 10 | the same, --promiscuous | at tc, --promiscuous | what it means |\n|---|---|---|---|---|---|---|\n")
	for _, r := range nicRows(t) {
		model, native := fmt.Sprintf("%s (%s)", r.Model, r.Driver), "no"
		if r.Native == "yes" {
			native = "yes: " + r.Stream
		}
		if r.Kernels != nil {
			model += ", on " + strings.Join(r.Kernels, " and ")
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s | %s |\n", model, native, r.Place, tagWord(r.Frames[1]), tagWord(r.Promiscuous[1]), tagWord(r.TC[1]), r.About)
	}
	devicesDocHas(t, "nics", table.String())
}

// tagWord is what sawTags says of a frame of VLAN 10, for people.
func tagWord(saw string) string {
	switch saw {
	case "10":
		return "seen with its tag"
	case "no tag":
		return "seen without its tag"
	}
	return saw
}
