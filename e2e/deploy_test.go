package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnit has systemd read the unit as that of an interface.
func TestUnit(t *testing.T) {
	if !have(t, "systemd-analyze") {
		return
	}
	unit, err := os.ReadFile("../deploy/xdplog@.service")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "xdplog@eth0.service")
	text := strings.ReplaceAll(string(unit), "/usr/local/bin/xdplog", os.Getenv(binaryEnv))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, said)
	}
}
