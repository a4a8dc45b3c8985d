package e2e

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// killsEnv is how often TestKilledAnytime kills at each place: 20 times, and 6 with -short.
const killsEnv = "XDPLOG_E2E_KILLS"

func kills(t testing.TB) int {
	t.Helper()
	if text := os.Getenv(killsEnv); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s=%s is no number of kills", killsEnv, text)
		}
		return n
	}
	if testing.Short() {
		return 6
	}
	return 20
}

// TestKilledAnytime kills xdplog at random moments of its start, its run and its end, at
// each place. Whatever it leaves, the next start works, with the three capabilities that
// every start has, also in a container whose root has nothing but xdplog and can't be written
// to. It leaves nothing. Only held by netlink in the XDP slot does a killed one leave its program.
func TestKilledAnytime(t *testing.T) {
	for _, c := range []struct {
		name   string
		always []string // flags
		either []string // and one of these
		stays  bool     // when it is killed
	}{
		{"native", []string{"--place=xdp", "--attach=netlink"}, []string{"--mode=native"}, true},
		{"generic", []string{"--place=xdp", "--attach=netlink"}, []string{"--mode=generic"}, true},
		{"either mode", []string{"--place=xdp", "--attach=netlink"}, []string{"--mode=native", "--mode=generic"}, true},
		{"link", []string{"--place=xdp", "--attach=link"}, []string{"--mode=auto", "--mode=generic"}, false},
		{"tc", []string{"--place=tc"}, []string{"--direction=in", "--direction=inout"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			lab := newLab(t)
			n := kills(t)
			left := 0
			lab.killedAnytime(t, c.always, c.either, func() {
				if lab.attached(t, right(0)).id != 0 {
					left++
				}
			}, func() {
				lab.wantNoProgram(t)
				lab.wantNothingAtTC(t)
			})
			t.Logf("%d of %d left their program in the XDP slot", left, n)
			if c.stays != (left > 0) {
				t.Errorf("%d of %d left their program", left, n)
			}
		})
	}
	t.Run("beside", func(t *testing.T) {
		needTracing(t)
		lab := newLab(t)
		f := lab.firewall(t, "firewall", "native")
		lab.killedAnytime(t, nil, []string{"--place=auto"}, func() { f.stays(t) }, func() {
			f.stays(t)
			lab.wantNothingAtTC(t)
		})
		f.off(t)
	})
}

// killedAnytime kills and starts again. After each kill it looks with left, and after each end
// of the next one with bare. Beside another program nobody stands with three capabilities, and
// the next start is at tc.
func (l *lab) killedAnytime(t *testing.T, always, either []string, left, bare func()) {
	admit(t, nil)
	root := image(t)
	begin := time.Now()
	l.xdplog(t, always...).stop(t)
	whole := time.Since(begin)

	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d, %v from start to end", seed, whole)
	upTo := func(d time.Duration) { time.Sleep(time.Duration(random.Int64N(int64(d)))) }
	for i := range kills(t) {
		args := func() []string {
			return append([]string{"-i", right(0), "-o", "json", either[random.IntN(len(either))]}, always...)
		}
		victim := start(t, l.right, args()...)
		switch i % 3 {
		case 0: // starting
			upTo(whole)
		case 1: // running
			victim.listens(t)
			l.burst(t, 1000, marker())
		case 2: // ending
			victim.listens(t)
			l.send(t, marker())
			victim.signal(t, unix.SIGINT)
			upTo(whole / 4)
		}
		victim.cmd.Process.Kill() // it may have ended
		victim.wait(t)
		left()
		var cmd *exec.Cmd
		if random.IntN(2) == 0 {
			cmd = inContainer(root, args()...)
			cmd.Env = append(cmd.Env, containerReadOnlyEnv+"=1")
		} else {
			cmd = command(args()...)
			cmd.SysProcAttr = nobody(unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		}
		next := launch(t, l.right, cmd).read().listens(t)
		l.send(t, marker())
		if e := next.next(t); !e.isMarker() {
			t.Errorf("event is %v, want the one just sent", e)
		}
		if end := next.stop(t); end.counters.Captured != 1 {
			t.Errorf("counters are %+v, want 1 captured:\n%s", end.counters, end.stderr)
		}
		bare()
	}
}
