package auth

import "container/list"

// lru is a map of at most max entries; a put beyond that drops the entry that
// was used least recently. It has no lock of its own: its owner locks.
type lru[K comparable, V any] struct {
	max   int
	order *list.List // front: most recently used
	items map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, order: list.New(), items: map[K]*list.Element{}}
}

// get returns the value of key and counts as a use.
func (l *lru[K, V]) get(key K) (value V, ok bool) {
	element, ok := l.items[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(element)
	return element.Value.(*lruEntry[K, V]).value, true
}

// put sets the value of key and counts as a use.
func (l *lru[K, V]) put(key K, value V) {
	if element, ok := l.items[key]; ok {
		element.Value.(*lruEntry[K, V]).value = value
		l.order.MoveToFront(element)
		return
	}
	if len(l.items) >= l.max {
		oldest := l.order.Back().Value.(*lruEntry[K, V])
		l.remove(oldest.key)
	}
	l.items[key] = l.order.PushFront(&lruEntry[K, V]{key: key, value: value})
}

// remove drops key; an absent key is no error.
func (l *lru[K, V]) remove(key K) {
	if element, ok := l.items[key]; ok {
		l.order.Remove(element)
		delete(l.items, key)
	}
}
