package loader

import "fmt"

// Method is by what a program is held in the XDP slot. docs/design.md says when
// which.
type Method uint8

const (
	// ByNetlink: the program stays when the process is killed, and the next start
	// takes it over. Others may replace it by force, and take it off.
	ByNetlink Method = iota

	// ByLink: a bpf_link, which ends with the process, however that ends. Others
	// can't replace the program. The kernel says less about why it refuses one, and
	// tells nobody when a link is detached from outside (bpftool link detach): that
	// is noticed at the next change of the interface.
	ByLink
)

var methodNames = [...]string{ByNetlink: "netlink", ByLink: "link"}

// String is the name that [ParseMethod] takes.
func (m Method) String() string {
	if int(m) < len(methodNames) {
		return methodNames[m]
	}
	return fmt.Sprintf("method(%d)", uint8(m))
}

// ParseMethod returns the method with a name: netlink or link.
func ParseMethod(s string) (Method, error) {
	for m, name := range methodNames {
		if s == name {
			return Method(m), nil
		}
	}
	return ByNetlink, fmt.Errorf("no method %q: want netlink or link", s)
}
