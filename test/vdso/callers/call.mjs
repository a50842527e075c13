/** What each JavaScript runtime does with the image once it has it open: the same as caller.py. */
export function call(image, addressOf, maps, mapping, offset) {
  const record = new DataView(new ArrayBuffer(64));
  const set = (ns, flags) => {
    record.setUint32(0, 2, true);
    record.setBigUint64(16, ns, true);
    record.setUint8(29, flags);
  };
  const at = addressOf(record);
  set(12345n, 1);
  const answer = {
    attach: String(image.kvmclock_attach(at)),
    now: String(image.kvmclock_now()),
    at: String(image.kvmclock_at(at, 7n)),
  };
  set((1n << 63n) + 1025n, 1);
  answer.nowNs = image.kvmclock_now_ns();
  set(12345n, 0);
  answer.unstable = String(image.kvmclock_read_landed(at));
  answer.live = [];
  if (maps !== undefined) {
    const line = maps.split('\n').find((text) => text.includes(mapping));
    const live = BigInt(`0x${line.split('-')[0]}`) + BigInt(offset);
    image.kvmclock_attach(live);
    answer.live = [image.kvmclock_now(), image.kvmclock_read_landed(live), image.kvmclock_now()].map(String);
  }
  return answer;
}
