// The side of the tests.
namespace ReflectionTrl
{
    using System;
    using System.Collections;
    using System.Collections.Generic;
    using System.Diagnostics;
    using System.Linq;
    using System.Runtime.ExceptionServices;

    // A stand-in for an object of the answer's own class: another object is equal to it only if it is one, too
    public abstract class Remote
    {
        public sealed class Existing { }
        public static readonly Existing EXISTING = new Existing();

        internal int Number = -1;

        protected Remote() { }
        protected Remote(Existing existing) { }

        protected void ReflectionTrlAdopt(object made)
        {
            Number = ((Remote)made).Number;
            Judge.Keep(this);
        }

        public override bool Equals(object other)
        {
            return other is Remote && other.GetType() == GetType() && (bool)Judge.Call(GetType(), "Equals", this, new[] { other });
        }

        public override int GetHashCode() { return (int)Judge.Call(GetType(), "GetHashCode", this, new object[0]); }
        public override string ToString() { return (string)Judge.Call(GetType(), "ToString", this, new object[0]); }
    }

    public class Judge : Wire
    {
        static readonly Judge wire = new Judge();
        static readonly Dictionary<int, Remote> live = new Dictionary<int, Remote>();
        static Exception failure;
        static ExceptionDispatchInfo failed;

        // Mono's own listeners print what does not hold, and go on
        sealed class Failing : TraceListener
        {
            public override void Fail(string message) { Assert(false); }
            public override void Fail(string message, string detail) { Assert(false); }
            public override void Write(string message) { }
            public override void WriteLine(string message) { }
        }

        // An assert whose failure ends the tests, also where they catch every exception
        public static void Assert(bool holds)
        {
            if (holds) return;
            try { throw new Exception("Debug.Assert does not hold"); }
            catch (Exception error)
            {
                failed = failed ?? ExceptionDispatchInfo.Capture(error);
                throw;
            }
        }

        // Runs the tests, and prints the mark when they have ended
        public static void Run(Action tests, string mark)
        {
            Debug.Listeners.Clear();
            Debug.Listeners.Add(new Failing());
            try
            {
                tests();
                if (failed != null) failed.Throw();
            }
            catch (Exception error) when (failure != null && ReferenceEquals(error, failure))
            {
                try { wire.Send("raise"); } catch (Gone) { }
                Environment.Exit(97);
            }
            Console.Out.Flush();
            Console.WriteLine("\n" + mark);
        }

        internal static void Keep(Remote made) { live[made.Number] = made; }

        // Calls a method or (`new`) a constructor of the answer, and brings its arguments up to date
        public static object Call(Type type, string name, object self, object[] arguments, params object[] types)
        {
            try
            {
                wire.Send("call", type, name, self, arguments, types);
                var reply = wire.Await();
                var changed = (object[])reply[2];
                for (var place = 0; place < arguments.Length; place++)
                    if (changed[place] != null && !Update(arguments[place], changed[place])) arguments[place] = changed[place];
                return reply[1];
            }
            catch (Exception error) when (!ReferenceEquals(error, failure))
            {
                Environment.Exit(97);
                throw;
            }
        }

        public static T Call<T>(Type type, string name, object self, object[] arguments, params object[] types)
        {
            return (T)Adapted(Call(type, name, self, arguments, types), typeof(T));
        }

        object[] Await()
        {
            while (true)
            {
                var reply = Receive();
                if ((string)reply[0] == "result") return reply;
                if ((string)reply[0] == "error") throw failure = Error((string)reply[1], (string)reply[2]);
                object result;
                try { result = InvokeLent((int)reply[1], (object[])reply[2]); }
                catch (Exception thrown)
                {
                    if (Bare(thrown) is Gone) throw new Gone();
                    Send("error", Bare(thrown).GetType().FullName, Bare(thrown).Message);
                    continue;
                }
                Send("result", result);
            }
        }

        protected override object Invoke(int number, object[] arguments)
        {
            try
            {
                Send("invoke", number, arguments);
                return Await()[1];
            }
            catch (Exception error) when (!ReferenceEquals(error, failure))
            {
                Environment.Exit(97);
                throw;
            }
        }

        static Exception Error(string name, string message)
        {
            var own = wire.Named(name);
            var type = own ?? Type.GetType(name) ?? typeof(Uri).Assembly.GetType(name) ?? typeof(Enumerable).Assembly.GetType(name);
            if (type == null || !typeof(Exception).IsAssignableFrom(type)) return new Exception(message);
            try { return (Exception)Activator.CreateInstance(type, message); }
            catch (Exception) { return new Exception(message); }
        }

        protected override bool IsOwn(Type type)
        {
            return type.Assembly == typeof(Judge).Assembly && Names.Own.Contains(NameOf(type));
        }

        protected override string NameOf(Type type)
        {
            return type.Name == Names.Continued || type.Name == Names.Continued + "__Answer" ? Names.Continued : type.Name;
        }

        protected override Type Named(string name)
        {
            return !Names.Own.Contains(name) ? null
                : typeof(Judge).Assembly.GetTypes().FirstOrDefault(type => type.Name == (name == Names.Continued ? name + "__Answer" : name));
        }

        protected override int NumberOf(object value) { return ((Remote)value).Number; }

        protected override object ObjectOf(int number, Type type)
        {
            Remote known;
            if (live.TryGetValue(number, out known)) return known;
            if (!typeof(Remote).IsAssignableFrom(type) || type.IsAbstract) throw new Gone();
            var made = (Remote)Activator.CreateInstance(type, Remote.EXISTING);
            made.Number = number;
            return live[number] = made;
        }

        // What the call has done to a container, done to the one that the tests hold
        static bool Update(object old, object changed)
        {
            if (old == null || changed == null || old is string || old.GetType() != changed.GetType()) return false;
            if (old is Remote) return ReferenceEquals(old, changed);
            if (old is Array)
            {
                if (((Array)old).Length != ((Array)changed).Length) return false;
                Array.Copy((Array)changed, (Array)old, ((Array)old).Length);
                return true;
            }
            if (old is IDictionary)
            {
                ((IDictionary)old).Clear();
                foreach (DictionaryEntry entry in (IDictionary)changed) ((IDictionary)old).Add(entry.Key, entry.Value);
                return true;
            }
            if (!(old is IList)) return false;
            ((IList)old).Clear();
            foreach (var item in (IList)changed) ((IList)old).Add(item);
            return true;
        }
    }
}
