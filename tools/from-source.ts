/** Preloaded with --import: the name `kvmclock` means the sources, as it means dist/ in the package. */
import { registerHooks } from 'node:module';

const source = new URL('../src/index.ts', import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) => next(specifier === 'kvmclock' ? source : specifier, context),
});
