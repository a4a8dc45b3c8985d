package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBashAlone completes in a bash without package bash-completion: words that bash
// breaks at = and : get to the command whole.
func TestBashAlone(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	_, script, _ := runCommand("completion", "bash")
	name := filepath.Join(t.TempDir(), "completion.bash")
	if err := os.WriteFile(name, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ line, broken, want string }{
		{"xdplog -i ", `xdplog -i ""`, `__complete -i '' | auto native`},
		{"xdplog --mode=na", "xdplog --mode = na", "__complete --mode=na | native"},
		{"xdplog host 2001:db8::1 na", "xdplog host 2001 : db8 :: 1 na", "__complete host 2001:db8::1 na | native"},
		{"xdplog  --mode  na", "xdplog --mode na", "__complete --mode na | native"},
	} {
		out, err := exec.Command(bash, "--norc", "--noprofile", "-c", `
			source "$1"
			xdplog() { printf '%q ' "$@" >&3; printf 'auto\nnative\n:4\n'; }
			compopt() { :; }
			COMP_LINE=$2 COMP_POINT=${#2} COMP_TYPE=9
			eval "COMP_WORDS=($3)"
			COMP_CWORD=$((${#COMP_WORDS[@]}-1))
			__start_xdplog 3>&1
			echo "| ${COMPREPLY[*]}"
		`, "bash", name, c.line, c.broken).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: %v, %q, want %q", c.line, err, got, c.want)
		}
	}
}
