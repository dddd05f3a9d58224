package message

// Bounds on what Parse takes from one message. They are part of the encoding:
// to change one is to change the version of the blob.
const (
	// MaxDepth is how deep multiparts and embedded messages are followed. The
	// message itself is at depth 1.
	MaxDepth = 64
	// MaxParts is how many parts (embedded messages count as one more) are kept.
	MaxParts = 10_000
	// MaxAddresses is how many addresses are kept of the To of one envelope;
	// likewise of Cc and each other list.
	MaxAddresses = 1_000
	// MaxEnvelopeBytes is what the addresses and strings of one envelope may
	// take, before quoting.
	MaxEnvelopeBytes = 256 << 10
	// MaxCachedHeaderBytes is what the fields kept verbatim may take together.
	MaxCachedHeaderBytes = 4 << 10
	// MaxBlobBytes is what a blob never exceeds. Ordinary ones have 400–900 bytes.
	MaxBlobBytes = 4 << 20
)

const (
	// maxDetailBytes is what the parameters, descriptions and embedded envelopes
	// of all parts may take together, before quoting; later ones are NIL.
	maxDetailBytes = 256 << 10
	// maxNameBytes is what type, subtype, charset and encoding of all parts may
	// take together; later ones are application/octet-stream.
	maxNameBytes = 256 << 10
	// maxTypeBytes bounds a type, a subtype and a charset (RFC 6838, section 4.2).
	maxTypeBytes = 127
	// maxEncodingBytes bounds the name of a transfer encoding.
	maxEncodingBytes = 32
	// maxParams is how many parameters of one header field are read.
	maxParams = 64
	// maxValueBytes bounds a parameter's value, a description, a content id.
	maxValueBytes = 1 << 10
	// maxStructuredBytes is how much of one structured field is read.
	maxStructuredBytes = 256 << 10
	// maxLanguages is how many tags of Content-Language are kept.
	maxLanguages = 16
)
