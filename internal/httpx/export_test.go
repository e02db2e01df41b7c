package httpx

import (
	"net/http"
	"time"
)

// PatientFor is Patient with another limit.
func PatientFor(limit time.Duration, next http.Handler) http.Handler { return patient{next, limit} }

// PatientStep is how many bytes of a file go with one deadline.
const PatientStep = patientStep
