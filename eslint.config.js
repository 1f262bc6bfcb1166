import tseslint from 'typescript-eslint';

// What types can't say. Type-aware only for promises that nobody waits for: a lost rejection in a recorder is lost data.
export default tseslint.config(
  { ignores: ['dist/', 'build/', 'node_modules/', 'examples/', '**/*.js', '**/*.mjs'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: 'mocha', name: ['describe', 'it'] }] }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false }],
      'eqeqeq': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-restricted-properties': ['error', { object: 'process', property: 'exit', message: 'only src/cli/main.ts ends the process' }],
    },
  },
  { files: ['src/cli/main.ts', 'scripts/**', 'bench/**', 'test/**'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['test/**'], rules: { '@typescript-eslint/no-unused-expressions': 'off' } },
);
