import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineForEachStatement } from '../../tools/line-breaks.ts';

test('lineForEachStatement() breaks before each statement and class member that follows another, and nowhere else', () => {
  const code =
    'import"a";function f(x){if(x)return 1;for(;;)x++;return`;}\n;{x};y`}class C{#a=1;b(){;}static{f(1);f(2)}}f({body:[1,2]})';
  assert.equal(
    lineForEachStatement(code),
    'import"a";\nfunction f(x){if(x)return 1;\nfor(;;)x++;\nreturn`;}\n;{x};y`}\nclass C{#a=1;\nb(){;}\nstatic{f(1);\nf(2)}}\nf({body:[1,2]})',
  );
});

test('lineForEachStatement() counts as the text does, also behind what is not ASCII', () => {
  assert.equal(lineForEachStatement('f("é𝒳");g()'), 'f("é𝒳");\ng()');
});
