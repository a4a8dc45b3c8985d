package format

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Zone is the time zone of $TZ where that is set, or nil. Package time takes one that
// it can't find for UTC, without a word, and knows none of those that POSIX describes
// in place, as CET-1CEST,M3.5.0,M10.5.0/3: they need no files, so that they work in an
// empty root, too.
func Zone() (*time.Location, error) {
	name, set := os.LookupEnv("TZ")
	name = strings.TrimPrefix(name, ":")
	if !set || name == "" {
		return nil, nil
	}
	if filepath.IsAbs(name) {
		data, err := os.ReadFile(name)
		if err == nil {
			var zone *time.Location
			if zone, err = time.LoadLocationFromTZData(name, data); err == nil {
				return zone, nil
			}
		}
		return nil, fmt.Errorf("times are UTC: TZ: %w", err)
	}
	zone, err := time.LoadLocation(name)
	if err == nil {
		return zone, nil
	}
	if zone := posixZone(name); zone != nil {
		return zone, nil
	}
	return nil, fmt.Errorf("times are UTC: TZ: %w here; CET-1CEST,M3.5.0,M10.5.0/3, as POSIX has it, takes no files", err)
}

// posixZone is the zone that a value of TZ describes, or nil if it describes none: a
// file of RFC 9636 that says nothing but that.
func posixZone(tz string) *time.Location {
	const undescribed = "?" // the name of the time before anything is known
	var file []byte
	for _, counts := range [...][6]uint32{{}, {4: 1, 5: 2}} { // data of version 1, and of version 2: a type, two characters
		file = append(file, "TZif2"...)
		file = append(file, make([]byte, 15)...)
		for _, n := range counts {
			file = binary.BigEndian.AppendUint32(file, n)
		}
	}
	file = append(file, make([]byte, 6)...) // at UTC, no summer time, the first name
	file = append(file, undescribed+"\x00\n"+tz+"\n"...)
	zone, err := time.LoadLocationFromTZData(tz, file)
	if err != nil {
		return nil
	}
	if name, _ := time.Unix(0, 0).In(zone).Zone(); name == undescribed {
		return nil
	}
	return zone
}
