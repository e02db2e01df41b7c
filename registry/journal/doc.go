// Package journal records every put and delete of a repository, manifest or
// tag in append-only files, so that a lost database can be built again from
// the journal and the blob files.
//
// The files are <dir>/000001.jsonl, 000002.jsonl and so on; a new one begins
// when the last has reached 64 MiB. Each line is one JSON object:
//
//	{"crc":"e9a3625c","batch":1,"entry":{"seq":1,"time":"2026-01-02T03:04:05.000006Z","op":"tag.delete","repository":"a/b","tag":"v1"}}
//
// crc is the CRC-32C (Castagnoli) of the rest of the line after `{"crc":"e9a3625c",`
// without the newline, in eight lower-case hex digits. entry is a
// core.JournalEntry. batch is the sequence number of the first entry that was
// written in the same call: all lines of a batch are in one file and become
// durable by one fsync. Sequence numbers start at 1 and have no gaps.
//
// A power cut may leave any part of the last batch broken. Nobody was told
// that it was stored, so Open cuts it off from its first broken line. A broken
// line before the last batch, a gap or a missing file is an error.
package journal
