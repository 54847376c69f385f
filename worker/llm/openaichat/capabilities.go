package openaichat

// listed is what servers say of a model in their list.
type listed struct {
	ID string `json:"id"`
}
