package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTroubleshooting holds the page of error messages to the sources: what
// stands between the dots of each message is somewhere in a string there.
func TestTroubleshooting(t *testing.T) {
	page, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for _, dir := range []string{".", "../../loader", "../../reader", "../../asm"} {
		err := filepath.WalkDir(dir, func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			sources.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Verbs stand for what differs.
	said := regexp.MustCompile(`%[a-z]`).ReplaceAllString(sources.String(), "…")
	messages := regexp.MustCompile("\\*\\*`([^`]+)`").FindAllStringSubmatch(string(page), -1)
	if len(messages) < 20 {
		t.Fatalf("only %d messages found", len(messages))
	}
	for _, m := range messages {
		for part := range strings.SplitSeq(m[1], "…") {
			part = strings.Trim(part, " ():,")
			if len(part) > 3 && !strings.Contains(said, part) {
				t.Errorf("nothing says %q of %q", part, m[1])
			}
		}
	}
}
