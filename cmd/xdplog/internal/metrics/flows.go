package metrics

// Flows are what there is to be told of conversations, where they are told apart.
type Flows struct {
	Begun, Open uint64
	Early       uint64 // that ended for want of room

	Exported     bool // to a collector
	Sent, Unsent uint64
}

// appendFlows appends what is known of flows.
func (m *Meter) appendFlows(b []byte) []byte {
	if m.options.Flows == nil {
		return b
	}
	f := m.options.Flows()
	for _, metric := range [...]struct {
		name, kind, help string
		value            uint64
		of               bool
	}{
		{"xdplog_flows_total", "counter", "Flows that have begun.", f.Begun, true},
		{"xdplog_flows_open", "gauge", "Flows that have not ended.", f.Open, true},
		{"xdplog_flows_early_total", "counter", "Flows that ended early for want of room.", f.Early, true},
		{"xdplog_ipfix_flows_sent_total", "counter", "Flows that were sent to the collector.", f.Sent, f.Exported},
		{"xdplog_ipfix_flows_unsent_total", "counter", "Flows that the collector was to have, and could not be sent.", f.Unsent, f.Exported},
	} {
		if metric.of {
			b = appendFamily(b, metric.name, metric.kind, metric.help)
			b = appendSample(b, metric.name, metric.value)
		}
	}
	return b
}
