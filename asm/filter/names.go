package filter

import (
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// service is what a service's name stands for.
type service struct {
	port     uint16
	tcp, udp bool // at least one; SCTP's use of a name is not recorded
}

// within is the protocol that the service has among those of the qualifier,
// where 0 is any: 0 again for a service of both TCP and UDP.
func (s service) within(protocol uint8) (uint8, error) {
	switch {
	case s.tcp && s.udp:
		return protocol, nil
	case s.tcp && (protocol == 0 || protocol == protoTCP):
		return protoTCP, nil
	case s.udp && (protocol == 0 || protocol == protoUDP):
		return protoUDP, nil
	case s.tcp:
		return 0, errOnlyTCP
	default:
		return 0, errOnlyUDP
	}
}

type nameError string

func (e nameError) Error() string { return string(e) }

const (
	errOnlyTCP nameError = "is of TCP alone"
	errOnlyUDP nameError = "is of UDP alone"
)

// names finds services and protocols: the built-in ones, then those of the
// system's files. Each table is read when a name is first asked for.
type names struct {
	files           fs.FS
	services        map[string]service
	systemServices  map[string]service // nil until a name is not built in
	protocols       map[string]uint8
	systemProtocols map[string]uint8
}

func (n *names) service(name string) (service, bool) {
	if n.services == nil {
		n.services = readServices(builtInServices)
	}
	if s, ok := n.services[name]; ok {
		return s, true
	}
	if n.systemServices == nil {
		n.systemServices = readServices(n.file("etc/services"))
	}
	s, ok := n.systemServices[name]
	return s, ok
}

func (n *names) protocol(name string) (uint8, bool) {
	if n.protocols == nil {
		n.protocols = readProtocols(builtInProtocols)
	}
	if number, ok := n.protocols[name]; ok {
		return number, true
	}
	if n.systemProtocols == nil {
		n.systemProtocols = readProtocols(n.file("etc/protocols"))
	}
	number, ok := n.systemProtocols[name]
	return number, ok
}

// file is a file's text; one that can't be read has none, as names in it are
// an addition to the built-in ones.
func (n *names) file(name string) string {
	text, err := fs.ReadFile(n.files, name)
	if err != nil {
		return ""
	}
	return string(text)
}

// serviceNames and protocolNames are what a name may have been meant to be.
func (n *names) serviceNames() []string {
	return append(slices.Sorted(maps.Keys(n.services)), slices.Sorted(maps.Keys(n.systemServices))...)
}

func (n *names) protocolNames() []string {
	return append(slices.Sorted(maps.Keys(n.protocols)), slices.Sorted(maps.Keys(n.systemProtocols))...)
}

// readServices reads services(5): a line is a name, port/protocol and further
// names. The built-in table has several protocols in one line: 53/tcp,udp.
// Where the protocols of a name have different ports, TCP's counts.
func readServices(text string) map[string]service {
	services := make(map[string]service)
	for fields := range table(text) {
		number, protocols, _ := strings.Cut(fields[1], "/")
		port, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			continue
		}
		for protocol := range strings.SplitSeq(protocols, ",") {
			if protocol != "tcp" && protocol != "udp" {
				continue
			}
			for i, name := range fields {
				if i == 1 {
					continue
				}
				s, known := services[name]
				if known && s.port != uint16(port) && (s.tcp || protocol == "udp") {
					continue
				}
				if s.port != uint16(port) {
					s = service{port: uint16(port)}
				}
				s.tcp = s.tcp || protocol == "tcp"
				s.udp = s.udp || protocol == "udp"
				services[name] = s
			}
		}
	}
	return services
}

// readProtocols reads protocols(5): a line is a name, a number and further
// names.
func readProtocols(text string) map[string]uint8 {
	protocols := make(map[string]uint8)
	for fields := range table(text) {
		number, err := strconv.ParseUint(fields[1], 10, 8)
		if err != nil {
			continue
		}
		for i, name := range fields {
			if _, known := protocols[name]; i != 1 && !known {
				protocols[name] = uint8(number)
			}
		}
	}
	return protocols
}

// table yields the fields of the lines that have two and more, without
// comments.
func table(text string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			if fields := strings.Fields(line); len(fields) > 1 && !yield(fields) {
				return
			}
		}
	}
}

// keywords are all words of the language that one may have meant.
func keywords() []string {
	list := slices.Collect(maps.Keys(protocolWords))
	list = slices.AppendSeq(list, maps.Keys(otherWords))
	list = slices.AppendSeq(list, maps.Keys(namedNumbers))
	slices.Sort(list)
	return list
}

// nearest is the candidate that one mistake, in a longer word two, away from
// the name, or none. A swap of neighbours is one mistake. Of equally near ones
// it is the first.
func nearest(name string, candidates []string) string {
	best, limit := "", 2
	if len(name) > 64 {
		return ""
	}
	if len(name) < 5 {
		limit = 1
	}
	for _, candidate := range candidates {
		if candidate == name || min(len(candidate), len(name)) < 2 {
			continue
		}
		if d := distance(strings.ToLower(name), candidate); d <= limit {
			best, limit = candidate, d-1
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours
// (optimal string alignment).
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
