package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// A report is what came of the tests under a kernel.
type report struct {
	kernel                  string // as its distribution numbers it
	programs                string // compiled or interpreted
	passed, failed, skipped int    // tests, and the subtests of each
	lacks                   []string
	skips                   []skip
	failures                []string // test: what it said
	warnings                []string // of the kernel's own
	done                    bool     // all of it is there
}

// A skip is the tests that were skipped for a reason.
type skip struct {
	reason string
	tests  []string
}

func (s skip) String() string {
	const most = 3
	if n := len(s.tests) - most; n > 1 {
		return fmt.Sprintf("%s and %d more: %s", strings.Join(s.tests[:most], ", "), n, s.reason)
	}
	return strings.Join(s.tests, ", ") + ": " + s.reason
}

// skip notes a skipped test. Here, nobody lacks rights or may not change
// settings, so that few reasons are good.
func (r *report) skip(test, reason string) {
	r.skipped++
	if !excused.MatchString(reason) {
		r.failures = append(r.failures, test+" should not be skipped: "+reason)
	}
	for i := range r.skips {
		if r.skips[i].reason == reason {
			r.skips[i].tests = append(r.skips[i].tests, test)
			return
		}
	}
	r.skips = append(r.skips, skip{reason, []string{test}})
}

// lacking is how a test says that it leaves out what the kernel does not have.
// It is a skip's reason, or a line in a test's log.
const lacking = "this kernel lacks "

var (
	current  = regexp.MustCompile(`^=== (?:RUN|NAME|CONT)\s+(\S+)`)
	verdict  = regexp.MustCompile(`^\s*--- (PASS|FAIL|SKIP): (\S+) \(`)
	logged   = regexp.MustCompile(`^\s+\w+\.go:\d+: (.*)`)
	debian   = regexp.MustCompile(`Debian (\S+)`)
	excused  = regexp.MustCompile(lacking + `|is not installed|executable file not found`)
	crashing = regexp.MustCompile(`^(panic: |fatal error: |SIG[A-Z]+: |Kernel panic|.*Kernel panic - )`)
)

// parse reads a guest's console.
func parse(from io.Reader) (*report, error) {
	r := new(report)
	var job, test string
	said := map[string][]string{} // by test
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		if word, ok := strings.CutPrefix(line, "guest: "); ok {
			if name, ok := strings.CutPrefix(word, "job /src/"); ok {
				job, test = name, ""
			}
			r.guest(job, word)
			continue
		}
		if found := current.FindStringSubmatch(line); found != nil {
			test = found[1]
			continue
		}
		if found := verdict.FindStringSubmatch(line); found != nil {
			r.verdict(found[1], job+" "+found[2], said[found[2]])
			delete(said, found[2])
			continue
		}
		if crashing.MatchString(line) {
			r.failures = append(r.failures, fmt.Sprintf("%s %s: %s", job, test, line))
		}
		if found := logged.FindStringSubmatch(line); found != nil {
			line = found[1]
		}
		if _, feature, ok := strings.Cut(line, lacking); ok && !slices.Contains(r.lacks, feature) {
			r.lacks = append(r.lacks, feature)
		}
		said[test] = append(said[test], line)
	}
	if err := lines.Err(); err != nil {
		return r, fmt.Errorf("read the console: %w", err)
	}
	if !r.done && len(r.failures) == 0 {
		return r, errors.New("the guest ended before its tests did")
	}
	return r, nil
}

// guest takes a line of init's.
func (r *report) guest(job, line string) {
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case line == "done":
		r.done = true
	case word == "failed:":
		r.failures = append(r.failures, "the guest: "+rest)
	case word == "kernel" && strings.HasPrefix(rest, "said "):
		r.warnings = append(r.warnings, strings.TrimPrefix(rest, "said "))
	case word == "programs":
		r.programs = rest
	case word == "kernel":
		r.kernel, _, _ = strings.Cut(rest, " ")
		if found := debian.FindStringSubmatch(rest); found != nil {
			r.kernel = found[1]
		}
	case word == "status" && rest != "0" && r.failed == 0:
		r.failures = append(r.failures, fmt.Sprintf("%s: exit status %s", job, rest))
	}
}

func (r *report) verdict(word, test string, said []string) {
	switch word {
	case "PASS":
		r.passed++
	case "FAIL":
		r.failed++
		r.failures = append(r.failures, test+": "+strings.Join(said, "\n        "))
	case "SKIP":
		reason := "it does not say why"
		if len(said) > 0 {
			reason = said[len(said)-1]
		}
		r.skip(test, reason)
	}
}

// ok reports whether all ran, and none failed.
func (r *report) ok() bool { return r.done && len(r.failures) == 0 && r.passed > 0 }

// print writes the counts on one line, and below it all that is not as it
// could be, in one piece. It returns an error unless the report is good.
func (r *report) print(w io.Writer, series, how, log string) error {
	word := "ok  "
	if !r.ok() {
		word = "FAIL"
	}
	text := fmt.Appendf(nil, "%s  %-5s %-16s %4d passed %4d failed %4d skipped  programs %s, %s\n", word, series, r.kernel, r.passed, r.failed, r.skipped, r.programs, how)
	var skips []string
	for _, s := range r.skips {
		skips = append(skips, s.String())
	}
	for _, list := range []struct {
		word  string
		lines []string
	}{
		{"lacks", r.lacks}, {"skipped", skips}, {"kernel said", r.warnings}, {"failed", r.failures},
	} {
		for _, line := range list.lines {
			text = fmt.Appendf(text, "      %s: %s\n", list.word, line)
		}
	}
	if _, err := w.Write(text); err != nil || r.ok() {
		return err
	}
	return fmt.Errorf("tests fail: see %s", log)
}
