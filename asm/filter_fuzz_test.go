package asm

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/xdplog/xdplog/asm/filter"
	"github.com/xdplog/xdplog/asm/internal/filtertest"
)

// TestFilterDifferential compares the verdicts of random filters on random
// frames, in the kernel, with those of the evaluator.
//
// XDPLOG_FUZZ_PAIRS is how many pairs of filter and frame, and
// XDPLOG_FUZZ_SEED the seed, which is printed.
func TestFilterDifferential(t *testing.T) {
	pairs := environment(t, "XDPLOG_FUZZ_PAIRS", 100_000)
	seed := environment(t, "XDPLOG_FUZZ_SEED", rand.Uint64()>>1)
	t.Logf("XDPLOG_FUZZ_SEED=%d", seed)

	const framesEach = 500
	expressions := filtertest.NewExpressions(seed)
	expressions.VLAN = true
	frames := newFrameMaker(seed)
	loadFilter(t, "ip", false) // skips here

	start := time.Now()
	var done, matched, filters, rejecting uint64
	for done < pairs {
		expression := expressions.Next(1 + int(filters%12))
		f, err := filter.Parse(expression)
		if err != nil {
			continue // a division by what is zero in the end
		}
		filters++
		c, err := newCompiled(Config{Filter: f, NoFrags: filters%2 == 0})
		if errors.Is(err, ErrRejectsAll) {
			rejecting++
			fast := f.Matcher()
			for range framesEach {
				if frame := frames.next(); f.Match(frame, len(frame)) || fast.Match(frame, len(frame)) {
					t.Fatalf("XDPLOG_FUZZ_SEED=%d: %v, but the evaluator or the matcher matches %x", seed, err, frame)
				}
			}
			continue
		}
		if err != nil {
			t.Fatalf("XDPLOG_FUZZ_SEED=%d, filter %d: %s\n%+v", seed, filters, expression, err)
		}
		for range framesEach {
			if err := c.check(frames.next(), math.MaxInt); err != nil {
				t.Fatalf("XDPLOG_FUZZ_SEED=%d, filter %d: %v", seed, filters, err)
			}
		}
		done += framesEach
		matched += c.matched
		c.close()
	}
	t.Logf("%d pairs of %d filters (%d reject every packet), %d matches, %.0f pairs a second",
		done, filters, rejecting, matched, float64(done)/time.Since(start).Seconds())
}
