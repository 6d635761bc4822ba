package httpapi

// deviceStatistics serves GET /statistics/devices (REST sheet, 1.7).
func (a *api) deviceStatistics(c *call) (*answer, error) {
	s, err := a.Hub.DeviceStatistics(c.Context(), c.who)
	if err != nil {
		return nil, err
	}
	return marshal(struct {
		Total    int64 `json:"totalDeviceCount"`
		Enabled  int64 `json:"enabledDeviceCount"`
		Disabled int64 `json:"disabledDeviceCount"`
	}{s.Total, s.Enabled, s.Disabled})
}

// serviceStatistics serves GET /statistics/service.
func (a *api) serviceStatistics(c *call) (*answer, error) {
	n, err := a.Hub.ConnectedDevices(c.Context(), c.who)
	if err != nil {
		return nil, err
	}
	return marshal(struct {
		Connected int64 `json:"connectedDeviceCount"`
	}{n})
}
