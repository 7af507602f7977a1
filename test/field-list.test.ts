import t from 'tap'
import { FIELD, fieldIdOf, fieldName, UNKNOWN_FIELD } from '../lib/http/field-ids.ts'
import { FieldList, LOOSE, STRIDE } from '../lib/http/field-list.ts'

t.test('a known field is found by its name in any case, and by no other name', async t => {
  for (const [name, id] of Object.entries(FIELD)) {
    t.equal(fieldIdOf(name), id, name)
    t.equal(fieldIdOf(name.toUpperCase()), id)
    t.equal(fieldIdOf(`${name}x`), UNKNOWN_FIELD)
    t.equal(fieldName(id), name)
  }
  for (const odd of ['__proto__', 'constructor', 'toString', '']) t.equal(fieldIdOf(odd), UNKNOWN_FIELD, odd)
})

t.test('fields travel on as they were written, without those that were dropped', async t => {
  const fields = FieldList.of([
    ['Accept', '*/*'],
    ['Cookie', 'a=1'],
    ['X-One', '1'],
    ['Cookie', 'b=2'],
    ['X-Two', ''],
  ])
  t.equal(fields.count, 5)
  t.equal(fields.joined(FIELD.cookie), 'a=1; b=2')
  t.equal(fields.toText(FIELD.cookie), 'Accept: */*\r\nX-One: 1\r\nX-Two: \r\n', 'or are left out once')
  t.match(fields.toText(), /Cookie: a=1/)
  fields.dropAll(FIELD.cookie)
  t.equal(fields.toText(), 'Accept: */*\r\nX-One: 1\r\nX-Two: \r\n')
  t.equal(fields.value(1), 'a=1', 'what is dropped can still be read')
  t.equal(fields.rawFirst(FIELD.cookie), 'a=1', 'by whoever means to')
  t.equal(fields.rawJoined(FIELD.cookie), 'a=1; b=2')
  t.equal(fields.rawIndexOf(FIELD.cookie, 2), 3)
  t.same(
    [fields.has(FIELD.cookie), fields.first(FIELD.cookie), fields.joined(FIELD.cookie)],
    [false, undefined, undefined],
  )
})

t.test('a line in another form than ours is written anew', async t => {
  const text = 'A:1\r\nB: 2\r\nC: \t3 \r\n'
  const marks = [LOOSE, 0, 1, 2, 3, 0, 5, 6, 8, 9, LOOSE, 11, 12, 15, 16]
  t.equal(marks.length, 3 * STRIDE)
  t.equal(new FieldList(text, marks).toText(), 'A: 1\r\nB: 2\r\nC: 3\r\n')
})

t.test('a field that is not there has no value and no place', async t => {
  const fields = FieldList.of([['Host', 'x']])
  t.equal(fields.first(FIELD.cookie), undefined)
  t.equal(fields.indexOf(FIELD.cookie), -1)
  t.equal(fields.joined(FIELD.cookie), undefined)
  t.equal(fields.first(FIELD.host), 'x')
})
