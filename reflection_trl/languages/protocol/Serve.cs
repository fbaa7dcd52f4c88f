// The side of the answer: runs its functions for the tests.
namespace ReflectionTrl
{
    using System;
    using System.Linq;
    using System.Reflection;
    using System.Runtime.ExceptionServices;

    public static class Serve
    {
        public static void Main()
        {
            var wire = new Wire();
            Exception failure = null;
            while (true)
            {
                object[] message;
                try { message = wire.Receive(); }
                catch (Gone) { Environment.Exit(0); return; }
                if ((string)message[0] == "raise") break;
                var values = (object[])message[3];
                try
                {
                    var result = Perform((string)message[1], (string)message[2], values);
                    Console.Out.Flush();
                    wire.Send("result", result, values);
                }
                catch (Gone) { Environment.Exit(0); }
                catch (Exception thrown)
                {
                    failure = thrown is TargetInvocationException && thrown.InnerException != null ? thrown.InnerException : thrown;
                    var type = failure.GetType();
                    while (type.Assembly == typeof(Serve).Assembly) type = type.BaseType;
                    wire.Send("error", type.FullName, failure.Message);
                }
            }
            ExceptionDispatchInfo.Capture(failure).Throw();
        }

        static object Perform(string type, string name, object[] values)
        {
            const BindingFlags all = BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.FlattenHierarchy;
            var found = typeof(Serve).Assembly.GetTypes().Where(one => one.Name == type || one.FullName == type)
                .SelectMany(one => one.GetMethods(all)).Where(one => one.Name == name && Takes(one, values)).ToList();
            if (found.Count == 0) throw new MissingMethodException(type, name);
            return found[0].Invoke(null, values);
        }

        static bool Takes(MethodInfo method, object[] values)
        {
            var parameters = method.GetParameters();
            return !method.IsGenericMethodDefinition && parameters.Length == values.Length && parameters.Zip(values, (parameter, value) =>
            {
                var type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType() : parameter.ParameterType;
                return value == null ? !type.IsValueType || Nullable.GetUnderlyingType(type) != null : type.IsInstanceOfType(value);
            }).All(fits => fits);
        }
    }
}
