// Package words says how what is in an event is written: protocols, EtherTypes,
// addresses, TCP flags, times, quoted strings.
//
// A line of text, an object of JSON and [fmt.Stringer] are to call a thing alike,
// and a busy interface has millions of packets a second. So there is one place for
// it, and all of it appends to a buffer of its caller's and allocates nothing. The
// tables are built in: an empty root needs no /etc/protocols, and an output is the
// same on every machine.
//
// It imports the standard library alone.
package words
