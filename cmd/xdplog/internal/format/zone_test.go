package format

import (
	"os"
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	winter, summer := time.Unix(1674637061, 0), time.Unix(1690000000, 0) // 2023-01-25T08:57:41Z, 2023-07-22T04:26:40Z
	for tz, want := range map[string][2]string{
		"CET-1CEST,M3.5.0,M10.5.0/3":   {"09:57:41", "06:26:40"},
		":CET-1CEST,M3.5.0,M10.5.0/3":  {"09:57:41", "06:26:40"},
		"<+0530>-5:30":                 {"14:27:41", "09:56:40"},
		"AEST-10AEDT,M10.1.0,M4.1.0/3": {"19:57:41", "14:26:40"},
		"UTC":                          {"08:57:41", "04:26:40"},
	} {
		t.Setenv("TZ", tz)
		zone, err := Zone()
		if err != nil {
			t.Errorf("%s: %v", tz, err)
			continue
		}
		if got := [2]string{winter.In(zone).Format(time.TimeOnly), summer.In(zone).Format(time.TimeOnly)}; got != want {
			t.Errorf("%s: %v, want %v", tz, got, want)
		}
	}
	for tz, want := range map[string]string{
		"Nowhere/Atall": "times are UTC: TZ: unknown time zone Nowhere/Atall here; CET-1CEST,M3.5.0,M10.5.0/3, as POSIX has it, takes no files",
		"/nosuch":       "times are UTC: TZ: open /nosuch: no such file or directory",
	} {
		t.Setenv("TZ", tz)
		if zone, err := Zone(); zone != nil || err == nil || err.Error() != want {
			t.Errorf("%s: %v, %v", tz, zone, err)
		}
	}
	t.Setenv("TZ", "")
	if zone, err := Zone(); zone != nil || err != nil {
		t.Errorf("empty: %v, %v", zone, err)
	}
	os.Unsetenv("TZ")
	if zone, err := Zone(); zone != nil || err != nil {
		t.Errorf("unset: %v, %v", zone, err)
	}
}
