package fleet

// ToReplace lists the IDs of a region's machines that a replacement of the region begins
// with, and how many nodes it finds under way: a node of which a machine is on its way out
// is being replaced by a run that was interrupted. That is finished, and the successor stays.
func (st State) ToReplace(region string) (ids []string, underWay int) {
	leaving := make(map[string]bool) // by node
	for _, m := range st.Machines.Value {
		if m.Region == region && m.Phase != PhaseActive {
			leaving[m.Node] = true
		}
	}
	for _, m := range st.Machines.Value {
		if m.Region == region && m.Phase == PhaseActive && !leaving[m.Node] {
			ids = append(ids, m.ID)
		}
	}
	return ids, len(leaving)
}
