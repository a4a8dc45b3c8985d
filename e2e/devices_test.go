package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// devicesFile has what is known of devices, a row each: what Linux 6.12 and 7.3 do.
const devicesFile = "testdata/devices.json"

// A deviceRow is what xdplog does and sees on one.
type deviceRow struct {
	Device string `json:"device"`
	About  string `json:"about,omitempty"` // what it means for users

	Native string `json:"native"` // yes, or the words of who refuses it
	Place  string `json:"place"`  // that auto takes
	Says   string `json:"says"`   // what the first line says beside that

	Link string `json:"link"` // what files say that its packets are

	// What auto makes of a UDP datagram that is sent to the device: without a tag, and
	// with one of VLAN 10 in the frame.
	Plain  string `json:"plain"`
	Tagged string `json:"tagged"`
}

var listens = regexp.MustCompile(`listening on \S+ \(([^;)]*)(?:; ([^)]*(?:\([^)]*\)[^)]*)*))?\), received`)

// notKnown is what is said of a driver that can't be asked.
var notKnown = regexp.MustCompile(`whether ((?:the )?driver(?: \S+)?) leaves traffic alone is not known`)

// fileLink is what is said of a file.
var fileLink = regexp.MustCompile(`link-type (\S+)`)

// refused is before the words of who takes no native program.
const refused = "native XDP refused by driver: "

// observe is what a device does.
func (d device) observe(t *testing.T) (row deviceRow) {
	lab := newLabWith(t, labOptions{pairs: 2})
	send := d.make(t, lab)
	on := d.on
	if on == "" {
		on = right(0)
	}
	row.Device, row.Native = d.name, "yes"
	if end := start(t, lab.right, "-i", on, "--mode", "native", "-o", "none", "--duration", "100ms").wait(t); end.status != 0 {
		_, row.Native, _ = strings.Cut(strings.TrimSpace(end.stderr), "attach to "+on)
		row.Native = strings.TrimPrefix(strings.TrimLeft(row.Native, ":, "), refused)
	}
	name := filepath.Join(t.TempDir(), "out.pcapng")
	capture := start(t, lab.right, "-i", on, "-o", "json", "--all", "-w", name)
	if !capture.stderr.await(listening) {
		end := capture.wait(t)
		_, row.Says, _ = strings.Cut(strings.TrimSpace(end.stderr), "attach to "+on)
		row.Says = strings.TrimSuffix(strings.TrimLeft(row.Says, ":, "), `"}}`)
		row.Place, row.Link, row.Plain, row.Tagged = "nothing", "none", "nothing", "nothing"
		if end.status != 1 {
			t.Errorf("exit status is %d, want 1", end.status)
		}
		return row
	}
	said := listens.FindStringSubmatch(capture.stderr.String())
	if said == nil {
		t.Fatalf("it says\n%s", &capture.stderr)
	}
	row.Place = said[1]
	row.Says = strings.TrimPrefix(strings.TrimPrefix(said[2], refused+row.Native), "; ")
	row.Says = strings.TrimSuffix(strings.TrimSuffix(row.Says, hidden), "; ") // which is of kernels: see TestTagBeside
	if major, minor := linux(t); major < 6 || major == 6 && minor < 3 {       // which can't be asked
		row.Says = notKnown.ReplaceAllString(row.Says, "$1 announces none")
	}

	const plain, tagged = 1001, 1002
	send(frame(ethernet(eth4), ipv4(protoUDP), udp(1234, plain)), frame(ethernet(dot1q), vlan(10, eth4), ipv4(protoUDP), udp(1234, tagged)))
	time.Sleep(300 * time.Millisecond)
	end := capture.stop(t)
	events := map[uint16][]event{}
	for _, line := range end.lines {
		e := parseEvent(t, line)
		if e.Interface != on {
			t.Errorf("an event is of %s, not of %s", e.Interface, on)
		}
		events[e.Port] = append(events[e.Port], e)
	}
	row.Plain, row.Tagged = seen(events[plain]), seen(events[tagged])
	if row.Plain == "nothing" && len(events) > 0 {
		t.Logf("what is seen is %v", events)
	}
	if found := fileLink.FindStringSubmatch(start(t, lab.right, "-r", name, "-o", "none").wait(t).stderr); found != nil {
		row.Link = found[1]
	}
	for _, name := range []string{on, right(0)} {
		if p := lab.attached(t, name); p.id != 0 {
			t.Errorf("%v is left on %s", p, name)
		}
	}
	return row
}

// seen is what events say of one packet.
func seen(events []event) string {
	switch len(events) {
	case 0:
		return "nothing"
	case 1:
		if strings.Contains(events[0].text, `"vlan":[10]`) {
			return "seen with its tag"
		}
		return "seen"
	}
	return fmt.Sprintf("seen %d times", len(events))
}

// TestDevices: what is known of devices is so.
func TestDevices(t *testing.T) {
	if major, minor := linux(t); major < 6 || major == 6 && minor < 1 {
		t.Skip("this kernel lacks rows: they are of Linux 6.1 and later")
	}
	for i, row := range deviceRows(t) {
		t.Run(row.Device, func(t *testing.T) {
			if i >= len(devices) || devices[i].name != row.Device {
				t.Fatalf("row %d is of no device that stands there", i)
			}
			got := devices[i].observe(t)
			got.About = row.About
			if strings.HasPrefix(got.Native, row.Native) { // some kernels have more to say
				got.Native = row.Native
			}
			if got != row {
				text, _ := json.Marshal(got)
				t.Errorf("row %s", text)
			}
		})
	}
}

func deviceRows(t *testing.T) (rows []deviceRow) {
	t.Helper()
	content, err := os.ReadFile(devicesFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &rows); err != nil {
		t.Fatalf("%s: %v", devicesFile, err)
	}
	return rows
}

var updateDevices = flag.Bool("update-devices", false, "rewrite docs/devices.md from its rows")

// TestDevicesDoc: docs/devices.md has the table of rows.
func TestDevicesDoc(t *testing.T) {
	var table strings.Builder
	table.WriteString("| device | native | auto takes | a datagram | one with a tag | what it means |\n|---|---|---|---|---|---|\n")
	for _, r := range deviceRows(t) {
		native := "no"
		if r.Native == "yes" {
			native = "yes"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s | %s |\n", r.Device, native, r.Place, r.Plain, r.Tagged, r.About)
	}
	devicesDocHas(t, "devices", table.String())
}

// devicesDocHas fails the test unless docs/devices.md has a table behind a mark, or
// puts it there.
func devicesDocHas(t *testing.T, mark, table string) {
	t.Helper()
	const name, end = "../docs/devices.md", "<!-- end -->\n"
	doc, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("this kernel lacks the docs: it is a guest's")
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := "<!-- " + mark + " -->\n"
	head, rest, ok := strings.Cut(string(doc), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of %s", name, mark)
	}
	want := head + begin + table + end + tail
	if *updateDevices {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(doc) {
		t.Errorf("%s is not what the rows say: go test ./e2e -run '^Test(Devices|NICs)Doc$' -update-devices", name)
	}
}
